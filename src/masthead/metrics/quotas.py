"""Quotas as responses tell them: which header fields, whose they are, and what they say together.

Names of fields: reference tables of OpenAI, Anthropic, Mistral, Azure OpenAI, LiteLLM, Kong; and the generic ones, of
which the IETF's draft (draft-ietf-httpapi-ratelimit-headers) has `RateLimit-*`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TABLE = "ratelimit"
# Quotas are few: an upstream's address each.
MOST = 200

# A field that only one provider sends, by provider; the first that stands in a response names it.
_SIGNS = (
    ("litellm", "x-litellm-call-id"),
    ("litellm", "x-litellm-version"),
    ("azure_openai", "apim-request-id"),
    ("azure_openai", "x-ms-region"),
    ("openai", "openai-version"),
    ("openai", "openai-organization"),
    ("openai", "openai-processing-ms"),
    ("anthropic", "anthropic-organization-id"),
    ("mistral", "mistral-correlation-id"),
    ("kong", "x-kong-proxy-latency"),
    ("kong", "x-kong-request-id"),
)
_BY = ("role", "origin_address", "response.header.x-ai-provider", *(f"response.header.{name}?" for _, name in _SIGNS))
_FORMS = {"limit": "item", "remaining": "item", "reset": "reset"}


def _fields() -> Iterator[tuple[str, str, str]]:
    """Give field, kind and part (`limit`, `remaining`, `reset`) of all presets."""
    for part in _FORMS:
        for kind in ("requests", "tokens"):
            yield f"x-ratelimit-{part}-{kind}", kind, part
        for kind in ("requests", "tokens", "input-tokens", "output-tokens"):
            yield f"anthropic-ratelimit-{kind}-{part}", kind.replace("-", "_"), part
        for kind in ("input-tokens", "output-tokens"):
            yield f"anthropic-priority-{kind}-{part}", f"priority_{kind.replace('-', '_')}", part
        for prefix in ("x-ratelimit", "ratelimit", "x-rate-limit"):
            yield f"{prefix}-{part}", "requests", part
    for part in ("limit", "remaining"):
        yield f"x-ratelimit-{part}-req-minute", "requests_minute", part
        yield f"x-ratelimit-{part}-tokens-minute", "tokens_minute", part
        for period in ("second", "minute", "hour", "day", "month", "year"):
            yield f"x-ratelimit-{part}-{period}", f"requests_{period}", part


FIELDS = tuple(_fields())


def document(cap: int) -> dict[str, object]:
    """Give the table as `_native.Tally` takes it."""
    measures = [{"last": f"response.header.{name}", "as": _FORMS[part]} for name, _, part in FIELDS]
    return {"name": TABLE, "by": _BY, "cap": cap, "measured": True, "measures": measures}


@dataclass(slots=True)
class Quota:
    """What is known of one quota: values and when each was told, by part."""

    values: dict[str, float] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)

    @property
    def seen_ns(self) -> int:
        """When it was last spoken of."""
        return max(self.times.values())

    @property
    def ratio(self) -> float | None:
        """What is left of it, where limit and rest were told."""
        limit, remaining = self.values.get("limit"), self.values.get("remaining")
        return remaining / limit if limit and remaining is not None else None


def read(table: Mapping[str, Any]) -> dict[tuple[str, str, str, str], Quota]:
    """Read the table's snapshot: quotas by provider, kind, server and role.

    Where several fields or responses speak of one quota, the last word counts.
    """
    found: dict[tuple[str, str, str, str], Quota] = {}
    for group in table["groups"]:
        role, server, named, *signs = group["keys"]
        provider = _provider(named, signs)
        for (_, kind, part), measure in zip(FIELDS, group["measures"], strict=True):
            # Azure says -1 where it does not know.
            if measure["value"] is None or (measure["value"] < 0 and part != "reset"):
                continue
            quota = found.setdefault((provider, kind, server or "", role or ""), Quota())
            time_ns = measure["time_ns"] or 0
            if time_ns >= quota.times.get(part, 0):
                quota.values[part], quota.times[part] = measure["value"], time_ns
    return found


def unreadable(table: Mapping[str, Any]) -> float:
    """Give how many fields held no number."""
    return float(sum(measure["unreadable"] for group in table["groups"] for measure in group["measures"]))


def _provider(named: str | None, signs: list[str | None]) -> str:
    """APIPark names the provider itself; else a field that only one provider sends tells; else nobody knows."""
    if named:
        return named.lower()
    return next((provider for (provider, _), there in zip(_SIGNS, signs, strict=True) if there == "1"), "")
