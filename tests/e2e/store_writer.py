"""Appends numbered rows to a store as fast as it can, and tells which are kept: python -m tests.e2e.store_writer.

Row number n has the exchange id n; every tenth is an error, so that there are parts of two classes. A thousand rows
make an hour of the store's clock, and journals are short: packing and merging go on all the time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from masthead._native import Conformed
from masthead.config import Config
from masthead.config.model import Retention
from masthead.sinks.outlet import complain
from masthead.store.kinds import Kinds
from masthead.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masthead._native import Batch

BEGIN_NS = 1_785_542_400_000_000_000
STEP_NS = 3_600_000_000
ROWS = 40
JOURNAL_BYTES = 96 << 10

SQL = """
    SELECT make_timestamp_ns({begin} + n * {step}) AS time, n::VARCHAR AS exchange_id, 'server' AS role,
        CASE WHEN n % 10 = 0 THEN 500 ELSE 200 END::USMALLINT AS status, '/a/' || n % 7 AS path,
        [{{name: 'X-Number', value: n::VARCHAR}}] AS request_fields, []::VARCHAR[] AS quality, 1.0 AS sample_weight
    FROM range({first}, {last}) AS numbers(n)
"""


def batches(first: int) -> Iterator[tuple[int, Batch]]:
    """Give batches for ever, with the number behind each one's last row."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        while True:
            sql = SQL.format(begin=BEGIN_NS, step=STEP_NS, first=first, last=first + ROWS)
            for batch in Conformed(connection.sql(sql)):
                first += batch.num_rows
                yield first, batch


def main(root: str, first: int) -> None:
    """Write until killed; each line is the number behind the last row that is kept."""
    now = BEGIN_NS + first * STEP_NS
    # Nothing is deleted, however full the disk: what is missing is then lost.
    kinds = Kinds.of(Config(retention=Retention(default="forever", errors="forever", static="forever", min_free="")))
    writer = Writer(
        Path(root),
        kinds,
        sync_seconds=0.05,
        tell=complain,
        clock_ns=lambda: now,
        journal_bytes=JOURNAL_BYTES,
    )
    for behind, batch in batches(first):
        now = BEGIN_NS + behind * STEP_NS
        failed = writer.write(batch)
        os.write(1, b"%d %d\n" % (behind, failed))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
