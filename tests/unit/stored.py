"""Calls made up for tests, and stores that hold them."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import duckdb

from masthead._native import Conformed
from masthead.config import Config
from masthead.store.kinds import Kinds
from masthead.store.writer import Writer
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from masthead._native import Batch

Call = dict[str, Any]

# 2026-08-01T00:00:00Z.
BEGIN_NS = 1_785_542_400_000_000_000
SECOND = 1_000_000_000
HOUR = 3_600 * SECOND

_SQL = "SELECT * REPLACE (make_timestamp_ns(time) AS time) FROM (SELECT unnest(from_json(?, ?), max_depth := 2))"
# Columns whose type JSON does not tell; texts need not be named.
_TYPES = {
    "time": "BIGINT",
    "status": "USMALLINT",
    "grpc_status": "USMALLINT",
    "grpc_request_messages": "UBIGINT",
    "grpc_response_messages": "UBIGINT",
    "grpc_timeout_ns": "BIGINT",
    "hpack_unresolved": "UINTEGER",
    "client_port": "USMALLINT",
    "server_port": "USMALLINT",
    "request_head_bytes": "UINTEGER",
    "response_head_bytes": "UINTEGER",
    "request_body_bytes": "UBIGINT",
    "response_body_bytes": "UBIGINT",
    "ttfb_ns": "BIGINT",
    "duration_ns": "BIGINT",
    "head_spread_ns": "BIGINT",
    "sample_weight": "DOUBLE",
    "trace_flags": "UTINYINT",
    "quality": ["VARCHAR"],
    "request_fields": [{"name": "VARCHAR", "value": "VARCHAR"}],
    "response_fields": [{"name": "VARCHAR", "value": "VARCHAR"}],
    "request_trailers": [{"name": "VARCHAR", "value": "VARCHAR"}],
    "response_trailers": [{"name": "VARCHAR", "value": "VARCHAR"}],
    "interim": [{"status": "USMALLINT", "fields": [{"name": "VARCHAR", "value": "VARCHAR"}]}],
    "network_namespace": "UBIGINT",
    "process_pid": "UINTEGER",
}
_BLANK = {"role": "server", "source": "socket", "scheme": "http", "quality": [], "sample_weight": 1.0}


def call(number: int, **columns: object) -> Call:
    """Make one call, a second after the one before; columns that are not named are null."""
    return {"time": BEGIN_NS + number * SECOND, "exchange_id": f"x-{number:06}", **_BLANK, **columns}


def pairs(*fields: tuple[str, str]) -> list[dict[str, str]]:
    """Make a list of fields."""
    return [{"name": name, "value": value} for name, value in fields]


def random_calls(count: int, seed: int = 7) -> list[Call]:
    """Make calls with all that makes counting hard: nulls, duplicates, weights, other roles, odd texts."""
    draw = random.Random(seed)
    return [_random_call(draw, number) for number in range(count)]


def _random_call(draw: random.Random, number: int) -> Call:
    route = draw.choice(["/v1/users/{id}", "/v1/orders", "/v1/it's/{id}", "/v1/ü[x]*?", None])
    status = draw.choice([200, 200, 200, 201, 304, 401, 404, 429, 500, 503, None])
    duration = draw.choice([None, draw.randrange(10**9), draw.randrange(10**6)])
    request = [("Host", draw.choice(["a.example", "b.example"])), ("X-Id", f"id-{draw.randrange(60)}")]
    if draw.random() < 0.5:
        request += [("accept", "text/html"), ("Accept", draw.choice(["*/*", "a, b", "\\back'quote\"", "é—\u4e16"]))]
    response = [("Server", draw.choice(["nginx", "envoy"]) if number > 100 else "nginx")]
    if draw.random() < 0.3:
        response.append(("X-RateLimit-Remaining", str(draw.randrange(30))))
        if number % 3:
            # Not drawn: the store of version 1 that is kept was made of the same draws.
            response.append(("x-ratelimit-limit", ("30", "20", "many", " 25")[number % 4]))
    return call(
        number,
        role=draw.choice(["server", "server", "client", None]),
        method=draw.choice(["GET", "POST", None]),
        route=route,
        path=None if route is None else route.replace("{id}", str(number)),
        target=route,
        authority=request[0][1],
        status=status,
        client_address="10.0.0.1",
        server_port=8080,
        request_fields=draw.choice([pairs(*request), pairs(*request), []]),
        response_fields=None if status is None else pairs(*response),
        request_head_bytes=draw.choice([None, draw.randrange(1000)]),
        response_body_bytes=draw.choice([None, draw.randrange(10**6)]),
        ttfb_ns=None if duration is None else duration // 2,
        duration_ns=duration,
        quality=["no_response"] if status is None else draw.choice([[], [], ["joined"], ["malformed", "escaped"]]),
        fault=draw.choice([None, "byte 3"]),
        sample_weight=draw.choice([1.0, 1.0, 1.0, 10.0]) if route == "/v1/orders" else 1.0,
    )


def grpc_calls(count: int, first: int = 100_000, seed: int = 8) -> list[Call]:
    """Make calls of HTTP/2 and gRPC, with fields that nobody could resolve."""
    draw = random.Random(seed)
    return [_grpc_call(draw, first + number) for number in range(count)]


def _grpc_call(draw: random.Random, number: int) -> Call:
    status = draw.choice([0, 0, 0, 3, 5, 13, 14, 99, None])
    unknown: list[dict[str, str | None]] = []
    if draw.random() < 0.5:
        unknown = [{"name": None, "value": draw.choice([None, "hmac:0123456789ab"])}]
    route = draw.choice(["/a.Users/Get", "/a.Users/List"])
    return call(
        number,
        protocol="grpc",
        scheme="https",
        tls_version=draw.choice(["1.2", "1.3"]),
        tls_library="go",
        method="POST",
        route=route,
        route_source="grpc",
        path=route,
        target=route,
        authority="rpc.example:443",
        status=200,
        grpc_status=status,
        grpc_request_messages=1,
        grpc_response_messages=draw.choice([None, 0, 7]),
        grpc_timeout_ns=draw.choice([None, SECOND]),
        hpack_unresolved=len(unknown) or None,
        request_fields=[*unknown, *pairs(("content-type", "application/grpc"))],
        response_fields=[*pairs(("content-type", "application/grpc")), *unknown],
        response_trailers=pairs(("grpc-status", str(status))) if status is not None else None,
        duration_ns=draw.randrange(10**9),
        quality=["hpack_unresolved"] if unknown else [],
    )


def batches(calls: Sequence[Call], rows: int = 500) -> Iterator[Batch]:
    """Give calls as batches with all columns of the schema."""
    for first in range(0, len(calls), rows):
        some = calls[first : first + rows]
        names = {name for row in some for name in row}
        form = {name: _TYPES.get(name, "VARCHAR") for name in sorted(names)}
        with duckdb.connect() as connection:
            yield from Conformed(connection.sql(_SQL, params=[json.dumps(some), json.dumps([form])]))


def fill(root: Path, calls: Sequence[Call], *, parts: bool = True) -> Path:
    """Write calls into a store, hour by hour; they end as parts but for the last hour, or all in journals."""
    now = calls[0]["time"] if calls else BEGIN_NS
    clock = [now]
    writer = Writer(root, Kinds.of(Config()), sync_seconds=60, tell=_fail, clock_ns=lambda: clock[0])
    hours: dict[int, list[Call]] = {}
    for row in calls:
        hours.setdefault(row["time"] // HOUR if parts else 0, []).append(row)
    for rows in hours.values():
        clock[0] = rows[-1]["time"]
        for batch in batches(rows):
            assert writer.write(batch) == 0
    wait_for(lambda: not writer.keeper.backlog, "full journals become parts")
    writer.close()
    return root


def _fail(message: str) -> None:
    raise AssertionError(message)
