"""`python -m dev.demo.history FOLDER`: weeks of made-up calls of the demo's shop in a store, to ask and to forecast.

Counts are drawn for each hour and route from tables that a person wrote down: when a shop is visited, when its back
office works, when its batch jobs run. No model of `masthead.forecast` had a part in them.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa

from masthead._native import Conformed
from masthead.config import Config
from masthead.errors import MastheadError
from masthead.store.kinds import Kinds
from masthead.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HOUR_NS = 3_600_000_000_000
DAYS_OF_A_WEEK = 7

# Calls of a visitor by the hour of the day, UTC, as shares of the busiest one: working days, Saturday, Sunday.
_VISITORS = (
    (14, 8, 5, 4, 5, 9, 20, 38, 55, 64, 70, 78, 84, 76, 70, 68, 71, 78, 88, 97, 100, 92, 66, 34),
    (22, 13, 8, 6, 6, 8, 14, 25, 41, 60, 74, 82, 80, 74, 71, 70, 72, 75, 79, 83, 84, 76, 57, 36),
    (26, 16, 10, 7, 6, 8, 12, 20, 34, 52, 65, 71, 70, 68, 70, 75, 82, 90, 99, 104, 103, 88, 58, 28),
)
_OFFICE = (
    (1, 1, 1, 1, 1, 4, 21, 64, 95, 100, 98, 88, 61, 79, 97, 94, 80, 52, 21, 9, 5, 3, 2, 1),
    (1, 1, 1, 1, 1, 1, 2, 5, 9, 11, 12, 10, 8, 8, 7, 6, 5, 4, 3, 2, 2, 1, 1, 1),
    (1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 4, 4, 3, 3, 4, 4, 4, 4, 4, 3, 3, 2, 1, 1),
)
_NIGHTLY = (
    (5, 5, 90, 100, 60, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5),
    (5, 5, 40, 45, 20, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5),
    (5, 5, 90, 100, 80, 30, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5),
)


@dataclass(frozen=True)
class Route:
    """One route of the shop.

    Attributes:
        method, path: As called; the route is the path.
        profile: Three days of 24 hours.
        busiest: Calls in the busiest hour of a working day.
        growth: By the week.
        failing: Share of the calls that end in 500.
        milliseconds: Usual duration; it is longer when much is called.
        quota: Calls a day that the provider behind it allows; 0: none.
    """

    method: str
    path: str
    profile: tuple[Sequence[int], ...]
    busiest: float
    growth: float = 0.0
    failing: float = 0.0
    milliseconds: float = 10.0
    quota: int = 0


ROUTES = (
    Route("GET", "/products", _VISITORS, 120, growth=0.02, milliseconds=12),
    Route("POST", "/orders", _VISITORS, 30, growth=0.03, failing=0.01, milliseconds=45),
    Route("GET", "/login", _VISITORS, 45, milliseconds=20),
    Route("GET", "/reports", _OFFICE, 25, failing=0.08, milliseconds=400),
    Route("GET", "/private", _OFFICE, 40, milliseconds=8),
    Route("POST", "/assistant", _OFFICE, 35, growth=0.04, milliseconds=1400, quota=600),
    Route("GET", "/slow", _NIGHTLY, 60, milliseconds=900),
)

_ROWS = """
    SELECT make_timestamp_ns(time) AS time, 'de300000-' || to_hex(number // 20) || '-s-' || number % 20 AS exchange_id,
        'de300000-' || to_hex(number // 20) AS connection_id, 'server' AS role, 'socket' AS source,
        'http/1.1' AS protocol, 'http' AS scheme, method, path AS target, path, path AS route,
        'inferred' AS route_source, 'shop.example' AS authority, status::USMALLINT AS status,
        '127.0.0.1' AS client_address, (30000 + number % 30000)::USMALLINT AS client_port,
        '127.0.0.1' AS server_address, 8080::USMALLINT AS server_port,
        [{'name': 'Host', 'value': 'shop.example'}, {'name': 'User-Agent', 'value': 'frontend/2.4'},
         {'name': 'X-Request-Id', 'value': md5(number::VARCHAR)}] AS request_fields,
        CASE WHEN left_over IS NULL THEN [{'name': 'Server', 'value': 'shop/1.0'}]
        ELSE [{'name': 'Server', 'value': 'shop/1.0'}, {'name': 'X-RateLimit-Limit', 'value': quota::VARCHAR},
              {'name': 'X-RateLimit-Remaining', 'value': left_over::VARCHAR}] END AS response_fields,
        180::UINTEGER AS request_head_bytes, 0::UBIGINT AS request_body_bytes, 120::UINTEGER AS response_head_bytes,
        400::UBIGINT AS response_body_bytes, duration * 9 // 10 AS ttfb_ns, duration AS duration_ns,
        40000::BIGINT AS head_spread_ns, []::VARCHAR[] AS quality, 1.0 AS sample_weight
    FROM drawn ORDER BY time
"""


def hours(begin_ns: int, count: int, draw: np.random.Generator) -> Iterator[pa.Table]:
    """Draw the calls of one hour after another.

    The columns: number, time (ns), method, path, status, duration (ns), quota, left_over (null: there is no quota).
    """
    number = 0
    used = dict.fromkeys(ROUTES, 0)
    mood = dict.fromkeys(ROUTES, 0.0)
    for hour in range(count):
        begin = begin_ns + hour * HOUR_NS
        day, of_day = divmod(begin // HOUR_NS, 24)
        kind = max(0, (day + 3) % DAYS_OF_A_WEEK - 4)  # 1970 began on a Thursday.
        columns: dict[str, list[object]] = {
            name: [] for name in ("number", "time", "method", "path", "status", "duration", "quota", "left_over")
        }
        for route in ROUTES:
            if of_day == 0:
                used[route] = 0
            mood[route] = 0.7 * mood[route] + draw.normal(0, 0.05)
            share = route.profile[kind][of_day] / 100 * (1 + route.growth) ** (hour / 24 / DAYS_OF_A_WEEK)
            calls = draw.poisson(route.busiest * share * np.exp(mood[route]))
            times = np.sort(draw.integers(begin, begin + HOUR_NS, calls))
            took = 1e6 * route.milliseconds * (1 + 0.4 * share) * np.exp(draw.normal(0, 0.3, calls))
            failed = draw.random(calls) < route.failing
            for at, duration, fails in zip(times.tolist(), took.astype(int).tolist(), failed.tolist(), strict=True):
                used[route] += 1
                left = max(0, route.quota - used[route]) if route.quota else None
                values = (number, at, route.method, route.path, 500 if fails else 200, duration, route.quota, left)
                for name, value in zip(columns, values, strict=True):
                    columns[name].append(value)
                number += 1
        kinds = {"left_over": pa.int64()}
        yield pa.table({name: pa.array(values, kinds.get(name)) for name, values in columns.items()})


def fill(root: Path, begin_ns: int, weeks: int, seed: int, tell: Callable[[str], None]) -> int:
    """Write so many weeks of calls that begin at an hour; gives how many calls."""
    clock = [begin_ns]
    rows = 0
    said: list[str] = []
    # That its clock leaps is no news here.
    writer = Writer(root, Kinds.of(Config()), sync_seconds=1, tell=said.append, clock_ns=lambda: clock[0])
    count = weeks * DAYS_OF_A_WEEK * 24
    with duckdb.connect() as connection:
        for hour, table in enumerate(hours(begin_ns, count, np.random.default_rng(seed))):
            clock[0] = begin_ns + (hour + 1) * HOUR_NS
            if table.num_rows:
                connection.register("drawn", table)
                for batch in Conformed(connection.sql(_ROWS)):
                    rows += batch.num_rows
                    if writer.write(batch):
                        raise OSError(f"{root}: rows could not be written: {'; '.join(said)}")
            if (hour + 1) % (24 * DAYS_OF_A_WEEK) == 0:
                tell(f"week {(hour + 1) // (24 * DAYS_OF_A_WEEK)} of {weeks}: {rows:,} calls so far")
    while writer.keeper.backlog:
        writer.keeper.hurry()
        time.sleep(0.05)
    writer.close()
    return rows


def main() -> int:
    """Fill a folder; 0 when it is done."""
    parser = argparse.ArgumentParser(prog="make demo-store", description="Weeks of made-up calls in a store.")
    parser.add_argument("folder", type=Path, help="the store's folder; it must not exist, or be empty")
    parser.add_argument("--weeks", type=int, default=5, help="how many, up to now (5)")
    parser.add_argument("--seed", type=int, default=7, help="other calls (7)")
    asked = parser.parse_args()
    if asked.folder.exists() and any(asked.folder.iterdir()):
        print(f"make demo-store: {asked.folder} is not empty: remove it, or name another folder", file=sys.stderr)
        return 2
    now = time.time_ns() // HOUR_NS * HOUR_NS
    begin = now - asked.weeks * DAYS_OF_A_WEEK * 24 * HOUR_NS
    rows = fill(asked.folder, begin, asked.weeks, asked.seed, lambda line: print(line, flush=True))
    print(f"{rows:,} calls lie in {asked.folder}. Try:")
    print(f"  .venv/bin/masthead forecast --store {asked.folder}")
    print(f"  .venv/bin/masthead forecast --store {asked.folder} --metric quota")
    print(f"  .venv/bin/masthead routes --store {asked.folder}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (MastheadError, OSError) as error:
        print(f"make demo-store: {error}", file=sys.stderr)
        sys.exit(2)
