"""From settings to the rules that the extension compiles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masthead.config.model import Config, Scope, Selection

# Compared without regard to case. `*api-key*` covers x-api-key, x-goog-api-key and api-key; they are named all the
# same, because this list is also what a reader looks them up in.
SECRET_FIELDS = (
    "authorization",
    "proxy-authorization",
    "*authorization",
    "cookie",
    "set-cookie",
    "*cookie*",
    "x-auth-key",
    "x-functions-key",
    "*subscription-key",
    "*customer-key",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "*token*",
    "*secret*",
    "*api-key*",
    "*api_key*",
    "*apikey*",
    "*password*",
)
SECRET_QUERY = (
    "key",
    "auth",
    "code",
    "sig",
    "signature",
    "jwt",
    "pwd",
    "pass",
    "passwd",
    "sid",
    "session",
    "sessionid",
    "*sessionid",
    "*sessid",
    "*subscription-key",
    "*assertion",
    "samlresponse",
    "ticket",
    "x-amz-credential",
    "x-amz-signature",
    "x-goog-credential",
    "x-goog-signature",
    "*token*",
    "*secret*",
    "*api-key*",
    "*api_key*",
    "*apikey*",
    "*password*",
)


def _selection(selection: Selection) -> dict[str, list[str]]:
    return {"allow": list(selection.allow), "deny": list(selection.deny)}


def _scoped(config: Config, scope: Scope) -> dict[str, object]:
    return {
        "host": scope.host,
        "path": scope.path,
        "request": _selection(scope.request or config.request),
        "response": _selection(scope.response or config.response),
    }


def rules_json(config: Config) -> str:
    """Give the rules of selection, redaction, filtering, sampling and routes as the extension takes them."""
    redact = config.redact
    calls = config.filter.model_dump(mode="json")
    # A process is known only after its connection has spoken: `capture.processes` is a filter like the others.
    calls["processes"] = [*config.capture.processes, *calls["processes"]]
    return json.dumps(
        {
            "request": _selection(config.request),
            "response": _selection(config.response),
            "scoped": [_scoped(config, scope) for scope in config.scope],
            "redact": {
                "enabled": redact.enabled,
                "fields": [*SECRET_FIELDS, *redact.fields],
                "query": [*SECRET_QUERY, *redact.query],
            },
            "filter": calls,
            "sample": config.sample.model_dump(mode="json"),
            "routes": config.routes.model_dump(mode="json"),
            "trusted_hops": list(config.forwarded.trusted_hops),
        }
    )


def restart_needed(old: Config, new: Config) -> list[str]:
    """Name the keys that differ and take effect only when masthead starts anew."""
    keys = [f"capture.{key}" for key in type(old.capture).model_fields]
    keys += [f"tls.{key}" for key in type(old.tls).model_fields]
    keys.append("output.tail_socket")
    keys += [f"store.{key}" for key in type(old.store).model_fields]
    keys += [f"delivery.{key}" for key in type(old.delivery).model_fields]
    keys += [f"alerts.{key}" for key in type(old.alerts).model_fields if key != "rules"]
    keys += [f"forecast.{key}" for key in type(old.forecast).model_fields]
    keys += [f"prometheus.{key}" for key in type(old.prometheus).model_fields]
    changed = [key for key in keys if _value(old, key) != _value(new, key)]
    return [*changed, *(name for name in ("sink", "metrics") if getattr(old, name) != getattr(new, name))]


def _value(config: Config, key: str) -> object:
    section, name = key.split(".")
    return getattr(getattr(config, section), name)
