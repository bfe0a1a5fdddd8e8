"""Fills a store with days of made-up calls, through the real writer: what queries are measured on."""

# ruff: noqa: E501 - a query is read line by line; it is made of this file's own words

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from masthead._native import Conformed
from masthead.config import Config
from masthead.store.compaction import merges
from masthead.store.kinds import Kinds
from masthead.store.layout import hour_of, listing
from masthead.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

ROUTES = 200
TENANTS = 1000
BATCH_ROWS = 4_096
_BEGIN_NS = 1_785_542_400_000_000_000  # 2026-08-01T00:00:00Z
_HOUR_NS = 3_600_000_000_000

# Row number `n` decides everything, so that the same history is made each time. `h` is a hash of it: the traffic has
# no period. Routes are as unequal as they are in life; one call in twenty fails, some routes more than others.
_ROWS = """
    WITH numbers AS (
        SELECT i AS n, (hash(i) >> 1)::BIGINT AS h, (hash(i + 7777777) >> 1)::BIGINT AS g FROM range({first}, {last}) t(i)
    ), drawn AS (
        SELECT n, h, g,
            ({routes} * pow((h % 100000) / 100000.0, 3))::INTEGER AS r,
            (g % {tenants})::INTEGER AS tenant,
            CASE WHEN (h >> 20) % 1000 < 40 THEN [400, 401, 404, 429, 500, 502, 503][1 + (g >> 9) % 7] ELSE 200 END AS s,
            (200000 * exp(3 * sqrt((g >> 17) % 10000 / 10000.0)))::BIGINT AS took
        FROM numbers
    )
    SELECT make_timestamp_ns({begin} + n * {step}) AS time,
        '4f1d2c3b-' || to_hex(n // 50) || '-s-' || n % 50 AS exchange_id,
        '4f1d2c3b-' || to_hex(n // 50) AS connection_id,
        'server' AS role, 'socket' AS source, 'http/1.1' AS protocol, 'http' AS scheme,
        ['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE'][1 + r % 6] AS method,
        '/v1/' || ['users', 'orders', 'carts', 'items', 'models'][1 + r % 5] || '/' || h % 100000 || '/r' || r AS path,
        path || '?page=' || g % 40 AS target, 'page=' || g % 40 AS query,
        '/v1/' || ['users', 'orders', 'carts', 'items', 'models'][1 + r % 5] || '/{{id}}/r' || r AS route,
        'inferred' AS route_source,
        'api' || r % 3 || '.example' AS authority, s::USMALLINT AS status,
        '10.0.' || (g >> 8) % 16 || '.' || g % 250 AS client_address, (30000 + h % 30000)::USMALLINT AS client_port,
        '10.1.0.5' AS server_address, 8080::USMALLINT AS server_port, 4026531840::UBIGINT AS network_namespace,
        1234::UINTEGER AS process_pid, '/usr/sbin/nginx' AS process_executable, '/system.slice/nginx.service' AS cgroup,
        [   {{name: 'Host', value: authority}},
            {{name: 'User-Agent', value: ['curl/8.5.0', 'python-requests/2.32.3', 'okhttp/4.12.0'][1 + g % 3]}},
            {{name: 'Accept', value: '*/*'}}, {{name: 'Accept-Encoding', value: 'gzip, deflate'}},
            {{name: 'X-Tenant', value: 'tenant-' || tenant}},
            {{name: 'Authorization', value: 'Bearer hmac:' || left(md5(tenant::VARCHAR), 12)}},
            {{name: 'X-Request-Id', value: md5(n::VARCHAR)}} ] AS request_fields,
        [   {{name: 'Server', value: 'nginx/1.22.1'}},
            {{name: 'Date', value: strftime(make_timestamp(({begin} + n * {step}) // 1000), '%a, %d %b %Y %H:%M:%S GMT')}},
            {{name: 'Content-Type', value: 'application/json'}}, {{name: 'Content-Length', value: (g % 5000)::VARCHAR}},
            {{name: 'X-RateLimit-Remaining', value: (h % 1000)::VARCHAR}} ] AS response_fields,
        (280 + g % 40)::UINTEGER AS request_head_bytes, 0::UBIGINT AS request_body_bytes,
        180::UINTEGER AS response_head_bytes, (g % 5000)::UBIGINT AS response_body_bytes,
        took AS ttfb_ns, took + (h % 100000)::BIGINT AS duration_ns, 0::BIGINT AS head_spread_ns,
        []::VARCHAR[] AS quality, 1.0 AS sample_weight
    FROM drawn ORDER BY n
"""


def rows_sql(first: int, last: int, step_ns: int) -> str:
    """Give the query for the rows of these numbers, so many nanoseconds apart."""
    return _ROWS.format(first=first, last=last, begin=_BEGIN_NS, step=step_ns, routes=ROUTES, tenants=TENANTS)


def fill(root: Path, rows: int, hours: int, tell: Callable[[str], None] = print) -> None:
    """Write so many rows, spread evenly over so many hours, and wait until they are parts."""
    step = hours * _HOUR_NS // rows
    now = _BEGIN_NS
    writer = Writer(root, Kinds.of(Config()), sync_seconds=1, tell=tell, clock_ns=lambda: now)
    with duckdb.connect() as connection:
        for first in range(0, rows, BATCH_ROWS):
            last = min(rows, first + BATCH_ROWS)
            question = rows_sql(first, last, step)
            now = _BEGIN_NS + last * step
            for batch in Conformed(connection.sql(question)):
                if writer.write(batch):
                    raise OSError(f"{root}: rows could not be written")
            if first % (BATCH_ROWS * 100) == 0:
                tell(f"{first:,} of {rows:,} rows")
    while writer.keeper.backlog or any(merges(listing(root).parts, hour_of(now))):
        writer.keeper.hurry()
        time.sleep(0.1)
    writer.close()


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
