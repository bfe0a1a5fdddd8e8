"""Many rows, quickly: made by a query, each with an id and a target of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from masthead._native import Conformed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masthead._native import Batch

BATCH_ROWS = 4_000
_ROWS = """
    SELECT make_timestamp_ns({begin} + n * 1000000) AS time, 'r-' || n AS exchange_id,
        'c-' || n // 100 AS connection_id, 'server' AS role, 'socket' AS source, 'http/1.1' AS protocol,
        'http' AS scheme, CASE n % 4 WHEN 0 THEN 'POST' ELSE 'GET' END AS method, '/v1/orders/' || n AS target,
        '/v1/orders/' || n AS path, '/v1/orders/{{id}}' AS route, 'inferred' AS route_source,
        'api.example' AS authority, CASE n % 50 WHEN 0 THEN 500 WHEN 1 THEN 404 ELSE 200 END::USMALLINT AS status,
        '10.0.0.' || n % 250 AS client_address, (30000 + n % 30000)::USMALLINT AS client_port,
        '10.1.0.5' AS server_address, 8080::USMALLINT AS server_port, 77::UINTEGER AS process_pid,
        '/usr/sbin/nginx' AS process_executable,
        [{{name: 'Host', value: 'api.example'}}, {{name: 'User-Agent', value: 'curl/8.5.0'}},
         {{name: 'X-Request-Id', value: md5(n::VARCHAR)}}] AS request_fields,
        [{{name: 'Server', value: 'nginx'}}, {{name: 'Content-Length', value: (n % 5000)::VARCHAR}}] AS response_fields,
        120::UINTEGER AS request_head_bytes, 0::UBIGINT AS request_body_bytes, 90::UINTEGER AS response_head_bytes,
        (n % 5000)::UBIGINT AS response_body_bytes, (100000 + n % 1000)::BIGINT AS ttfb_ns,
        (200000 + n % 1000)::BIGINT AS duration_ns, 0::BIGINT AS head_spread_ns, []::VARCHAR[] AS quality,
        1.0 AS sample_weight
    FROM range({first}, {last}) AS numbers(n)
"""


def made(rows: int, begin_ns: int) -> Iterator[Batch]:
    """Make rows numbered from 0, a millisecond apart, in batches."""
    with duckdb.connect() as connection:
        for first in range(0, rows, BATCH_ROWS):
            last = min(rows, first + BATCH_ROWS)
            yield from Conformed(connection.sql(_ROWS.format(begin=begin_ns, first=first, last=last)))
