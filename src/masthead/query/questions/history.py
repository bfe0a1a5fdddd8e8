"""Questions about history in steps of time: what forecasts are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from masthead.query.questions.calls import SERVER_ERROR, quantile
from masthead.query.questions.scope import Scope, within

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masthead.query.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Quota:
    """A pair of response fields that tell a quota.

    Attributes:
        name: What the quota is of.
        limit: The field with the whole, lowercase.
        remaining: The field with what is left, lowercase.
    """

    name: str
    limit: str
    remaining: str


def _anthropic(what: str) -> Quota:
    prefix = f"anthropic-ratelimit-{what}" if not what.startswith("priority-") else f"anthropic-{what}"
    return Quota(f"anthropic {what}", f"{prefix}-limit", f"{prefix}-remaining")


def _usual(what: str) -> Quota:
    suffix = f"-{what}" if what else ""
    return Quota(what or "calls", f"x-ratelimit-limit{suffix}", f"x-ratelimit-remaining{suffix}")


# OpenAI, Azure OpenAI and LiteLLM (requests, tokens), Mistral, Anthropic; gateways: Kong by period, APISIX, Tyk, Envoy.
QUOTAS = (
    *map(_usual, ("requests", "tokens", "req-minute", "tokens-minute")),
    *map(_usual, ("", "second", "minute", "hour", "day", "month", "year")),
    *map(_anthropic, ("requests", "tokens", "input-tokens", "output-tokens")),
    *map(_anthropic, ("priority-input-tokens", "priority-output-tokens")),
    Quota("calls", "ratelimit-limit", "ratelimit-remaining"),
)


def history(dialect: Dialect, scope: Scope, minutes: int) -> str:
    """What each of the most called routes did, step by step.

    Columns: `route` (text), `minute` (integer: whole minutes from 1970 to the step's begin), `calls`, `errors` (float,
    weighed: 5xx and no answer), `p95_ms` (float, of the duration; null where rows stand for different numbers of
    calls). Steps without calls have no row.

    Args:
        dialect: What to write.
        scope: Which calls; its limit is the number of routes.
        minutes: Length of a step.
    """
    condition = scope.condition(dialect)
    return f"""
        SELECT route, {_step(dialect, minutes)} AS minute, sum(sample_weight) AS calls,
            {dialect.sum_where("sample_weight", SERVER_ERROR)} AS errors,
            {quantile(dialect, "duration_ns", 0.95)} AS p95_ms
        FROM exchanges WHERE {condition} AND coalesce(route, '') IN (
            SELECT route_key FROM (
                SELECT coalesce(route, '') AS route_key, sum(sample_weight) AS weight
                FROM exchanges WHERE {condition} GROUP BY route_key ORDER BY weight DESC, route_key LIMIT {scope.limit}
            ) AS most_called
        )
        GROUP BY route, minute ORDER BY route NULLS LAST, minute
    """


def alive(dialect: Dialect, scope: Scope, minutes: int) -> str:
    """In which steps anything at all was logged: where nothing was, a route's silence tells nothing.

    Columns: `minute` (integer).
    """
    return f"""
        SELECT DISTINCT {_step(dialect, minutes)} AS minute
        FROM exchanges WHERE {within(dialect, scope.since_ns, scope.until_ns)} ORDER BY minute
    """


def quotas(dialect: Dialect, scope: Scope, minutes: int) -> str:
    """How much of each quota was used, step by step, as response fields tell (`QUOTAS`).

    Columns: `authority`, `quota` (text), `minute` (integer), `used` (float, 0 to 1: the most that was used in the
    step). Values that are no numbers, or below zero (unknown), are left out.

    Args:
        dialect: What to write.
        scope: Which calls; its limit does not count.
        minutes: Length of a step.
    """
    limits = _in(dialect, (quota.limit for quota in QUOTAS))
    rests = _in(dialect, (quota.remaining for quota in QUOTAS))
    value = dialect.number("field_value")
    return f"""
        SELECT authority, quota, minute, max(CASE WHEN rest > whole THEN 0.0 ELSE 1.0 - rest / whole END) AS used
        FROM (
            SELECT authority, {_names(dialect)} AS quota, {_step(dialect, minutes)} AS minute, exchange_id,
                max(CASE WHEN lower(field_name) IN {limits} THEN {value} END) AS whole,
                min(CASE WHEN lower(field_name) IN {rests} THEN {value} END) AS rest
            FROM exchanges{dialect.fields("response_fields")}
            WHERE {scope.condition(dialect)} AND (lower(field_name) IN {limits} OR lower(field_name) IN {rests})
            GROUP BY authority, quota, minute, exchange_id
        ) AS told
        WHERE whole > 0 AND rest >= 0
        GROUP BY authority, quota, minute ORDER BY authority NULLS LAST, quota, minute
    """


def _step(dialect: Dialect, minutes: int) -> str:
    minute = dialect.minute("time")
    return f"({minute} - {minute} % {minutes})"


def _in(dialect: Dialect, names: Iterable[str]) -> str:
    return f"({', '.join(dialect.literal(name) for name in names)})"


def _names(dialect: Dialect) -> str:
    cases = " ".join(
        f"WHEN lower(field_name) IN {_in(dialect, (quota.limit, quota.remaining))} THEN {dialect.literal(quota.name)}"
        for quota in QUOTAS
    )
    return f"CASE {cases} END"
