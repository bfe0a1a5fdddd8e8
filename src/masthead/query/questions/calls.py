"""Questions about calls: routes, errors, the slowest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.query.questions.scope import CALLS, Scope, milliseconds, whole
from masthead.store.kinds import ERROR_MARKS

if TYPE_CHECKING:
    from masthead.query.dialect import Dialect

# A call without an answer failed at the server's side, as far as its caller can tell.
# gRPC's statuses that are the server's own fault: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE,
# DATA_LOSS (OpenTelemetry's conventions for gRPC).
_GRPC_SERVER = "coalesce(grpc_status, 0) IN (2, 4, 12, 13, 14, 15)"
SERVER_ERROR = f"status >= 500 OR status IS NULL OR {_GRPC_SERVER}"
CLIENT_ERROR = f"(status BETWEEN 400 AND 499 OR coalesce(grpc_status, 0) > 0) AND NOT ({SERVER_ERROR})"


def routes(dialect: Dialect, scope: Scope) -> str:
    """What is called, the most called first.

    Columns: `route`, `method` (text), `calls`, `client_errors` (4xx and gRPC's like them), `server_errors` (5xx, no
    answer, gRPC's like them; integers),
    `error_share` (float), `ttfb_p95_ms`, `p50_ms`, `p95_ms`, `p99_ms` (float; the last three of the duration),
    `request_bytes`, `response_bytes` (integers, heads and bodies).
    """
    client = dialect.sum_where("sample_weight", CLIENT_ERROR)
    server = dialect.sum_where("sample_weight", SERVER_ERROR)
    quantiles = ", ".join(
        f"{quantile(dialect, column, share)} AS {name}"
        for name, column, share in (
            ("ttfb_p95_ms", "ttfb_ns", 0.95),
            ("p50_ms", "duration_ns", 0.5),
            ("p95_ms", "duration_ns", 0.95),
            ("p99_ms", "duration_ns", 0.99),
        )
    )
    return f"""
        SELECT route, method, {CALLS} AS calls, {whole(client)} AS client_errors, {whole(server)} AS server_errors,
            ({client} + {server}) / sum(sample_weight) AS error_share, {quantiles},
            {_bytes("request")} AS request_bytes, {_bytes("response")} AS response_bytes
        FROM exchanges WHERE {scope.condition(dialect)}
        GROUP BY route, method ORDER BY calls DESC, route NULLS LAST, method NULLS LAST LIMIT {scope.limit}
    """


def errors(dialect: Dialect, scope: Scope) -> str:
    """What went wrong, the most frequent first: see `_wrong`.

    Columns: `route`, `method` (text), `status`, `grpc_status` (integer), `marks` (text, separated by blanks),
    `calls` (integer), `share` (float, of all calls of that route and method), `first`, `last` (time),
    `example` (id of the last one).
    """
    marks = dialect.join("quality", " ")
    condition = scope.condition(dialect)
    return f"""
        SELECT wrong.route AS route, wrong.method AS method, wrong.status AS status,
            wrong.grpc_status AS grpc_status, wrong.marks AS marks,
            {whole("wrong.weight")} AS calls, wrong.weight / total.weight AS share,
            wrong.earliest AS first, wrong.latest AS last, wrong.example AS example
        FROM (
            SELECT route, method, status, grpc_status, {marks} AS marks, coalesce(route, '') AS route_key,
                coalesce(method, '') AS method_key, sum(sample_weight) AS weight,
                min(time) AS earliest, max(time) AS latest, {dialect.latest("exchange_id")} AS example
            FROM {dialect.failed} WHERE {condition} AND {_wrong(dialect)}
            GROUP BY route, method, status, grpc_status, marks
        ) AS wrong
        INNER JOIN (
            SELECT coalesce(route, '') AS route_key, coalesce(method, '') AS method_key, sum(sample_weight) AS weight
            FROM exchanges WHERE {condition} GROUP BY route_key, method_key
        ) AS total
        ON wrong.route_key = total.route_key AND wrong.method_key = total.method_key
        ORDER BY calls DESC, route NULLS LAST, method NULLS LAST, status NULLS LAST, grpc_status NULLS LAST,
            marks LIMIT {scope.limit}
    """


def each_error(dialect: Dialect, scope: Scope) -> str:
    """The calls that went wrong, the latest first.

    Columns: `time`, `status`, `grpc_status`, `method`, `route`, `target`, `duration_ms` (float), `client_address`,
    `marks` (text), `fault`, `exchange_id`.
    """
    return f"""
        SELECT time, status, grpc_status, method, route, target, {milliseconds("duration_ns")} AS duration_ms,
            client_address, {dialect.join("quality", " ")} AS marks, fault, exchange_id
        FROM {dialect.failed} WHERE {scope.condition(dialect)} AND {_wrong(dialect)}
        ORDER BY time DESC, exchange_id LIMIT {scope.limit}
    """


def slow(dialect: Dialect, scope: Scope) -> str:
    """The slowest calls, the slowest first.

    Columns: `duration_ms`, `ttfb_ms` (float), `time`, `status`, `method`, `route`, `target`, `response_bytes` (body),
    `client_address`, `exchange_id`.
    """
    return f"""
        SELECT {milliseconds("duration_ns")} AS duration_ms, {milliseconds("ttfb_ns")} AS ttfb_ms, time, status, method,
            route, target, response_body_bytes AS response_bytes, client_address, exchange_id
        FROM exchanges WHERE {scope.condition(dialect)} AND duration_ns IS NOT NULL
        ORDER BY duration_ns DESC, time, exchange_id LIMIT {scope.limit}
    """


def _wrong(dialect: Dialect) -> str:
    """Statuses 4xx and 5xx, gRPC's other than OK, no answer, resets, malformed messages.

    It is what the store keeps as errors (`masthead.store.kinds`), so that nothing else need be looked through.
    """
    marked = " OR ".join(dialect.has("quality", mark) for mark in ERROR_MARKS)
    return f"(status BETWEEN 400 AND 599 OR coalesce(grpc_status, 0) > 0 OR {marked})"


def quantile(dialect: Dialect, column: str, share: float) -> str:
    """Give a quantile of nanoseconds in milliseconds; null where rows stand for different numbers of calls."""
    alike = "min(sample_weight) = max(sample_weight)"
    return f"CASE WHEN {alike} THEN {milliseconds(dialect.quantile(column, share))} END"


def _bytes(side: str) -> str:
    head, body = f"coalesce({side}_head_bytes, 0)", f"coalesce({side}_body_bytes, 0)"
    return whole(f"sum(({head} + {body}) * sample_weight)")
