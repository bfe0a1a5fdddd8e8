"""Stores that earlier versions wrote, and parts of other columns than today's."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import duckdb
import pytest

from masthead.config import Config
from masthead.extension import native
from masthead.query import duck
from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from masthead.schema import COLUMNS
from masthead.store import directory, keeper, layout
from masthead.store.kinds import Kinds
from masthead.store.layout import Part, listing
from masthead.store.writer import Writer
from tests.e2e.waiting import wait_for
from tests.unit.stored import BEGIN_NS, HOUR, Call, fill, grpc_calls, random_calls

FIXTURES = Path(__file__).parents[1] / "fixtures"
VERSION_1 = FIXTURES / "store-v1"


def written() -> list[Call]:
    """What the store of version 1 holds."""
    later = [
        {**row, "time": row["time"] + HOUR, "exchange_id": f"{row['exchange_id']}b"}
        for row in random_calls(40, seed=2)[:20]
    ]
    return [*random_calls(40, seed=1)[:20], *later]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(VERSION_1, tmp_path / "store")
    return tmp_path / "store"


def rows(root: Path, columns: str = "exchange_id, status, request_fields, quality") -> list[tuple[object, ...]]:
    reader = DuckReader(root, Limits())
    assert reader.problems == []
    return reader.ask(f"SELECT {columns} FROM exchanges ORDER BY time").rows()


def expected() -> list[tuple[object, ...]]:
    return [(row["exchange_id"], row["status"], row["request_fields"], row["quality"]) for row in written()]


def test_a_store_of_version_1_is_read(root: Path) -> None:
    assert {part.version for part in listing(root).parts} == {1}
    assert listing(root).journals
    assert rows(root) == expected()


def test_a_store_of_version_1_is_gone_on_with(root: Path) -> None:
    writer = Writer(root, Kinds.of(Config()), sync_seconds=9, tell=print, clock_ns=lambda: BEGIN_NS + 2 * HOUR)
    wait_for(lambda: not writer.keeper.backlog, "the old journal is packed")
    writer.close()
    assert rows(root) == expected()


def drop_a_column(root: Path, column: str) -> None:
    """Make parts of a version 0 out of the store's, which lacked a column."""
    for part in listing(root).parts:
        path = root / part.place
        with duckdb.connect() as connection:
            select = f"SELECT * EXCLUDE ({column}) FROM '{path}'"
            connection.execute(f"COPY ({select}) TO '{root / 'older'}' (FORMAT parquet, COMPRESSION zstd)")
        path.unlink()
        crc = zlib.crc32((root / "older").read_bytes())
        older = Part(part.hour, part.kind, part.first, part.last, part.rows, version=0, crc=crc)
        (root / "older").rename(root / older.place)


def test_where_a_column_was_added_since_older_rows_have_null_there(root: Path) -> None:
    drop_a_column(root, "fault")
    found = rows(root, "exchange_id, fault")
    # The journal's rows are of today; those of the parts had no such column.
    before = [row for row in written() if row["time"] < BEGIN_NS + HOUR]
    assert found[: len(before)] == [(row["exchange_id"], None) for row in before]
    assert found[len(before) :] == [(row["exchange_id"], row["fault"]) for row in written()[len(before) :]]
    assert [name for name, *_ in DuckReader(root, Limits()).ask("DESCRIBE exchanges").rows()] == [
        column.name for column in COLUMNS
    ]


def test_older_parts_are_merged_into_todays_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "SWEEP_SECONDS", 0.01)
    calls, root = random_calls(200, seed=3), tmp_path / "store"
    for number in range(4):
        fill(root, calls[number * 50 : number * 50 + 50], parts=False)
        fill(root, [])
    drop_a_column(root, "fault")
    clock = BEGIN_NS + 3 * HOUR
    writer = Writer(root, Kinds.of(Config()), sync_seconds=9, tell=print, clock_ns=lambda: clock)
    wait_for(lambda: len(listing(root).parts) == 2 and not writer.keeper.backlog, "one part is left of each class")
    writer.close()
    assert {part.version for part in listing(root).parts} == {layout.SCHEMA_VERSION}
    assert [row[0] for row in rows(root)] == [row["exchange_id"] for row in calls]


def test_a_version_with_one_more_column_reads_what_this_one_wrote(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the next version does: today's parts are older then, and the view takes its columns from the journals.
    newer = layout.SCHEMA_VERSION + 1
    for room in (duck, directory, layout):
        monkeypatch.setattr(room, "SCHEMA_VERSION", newer)
    assert rows(root) == expected()


def test_large_parts_of_an_older_version_are_merged_into_todays_columns(tmp_path: Path) -> None:
    """Large row groups are taken over byte by byte, but not where they lack columns."""
    parts = []
    for number in range(2):
        parts.append(str(tmp_path / f"{number}.parquet"))
        with duckdb.connect() as connection:
            select = f"SELECT make_timestamp_ns(range) AS time, 'x' || range AS exchange_id FROM range({number}, 20000)"
            connection.execute(f"COPY ({select}) TO '{parts[-1]}' (FORMAT parquet, COMPRESSION zstd)")
    target = tmp_path / "merged.parquet"
    native().merge(parts, str(target), layout.SCHEMA_VERSION)
    with duckdb.connect() as connection:
        found = connection.sql(f"DESCRIBE FROM '{target}'").fetchall()
        assert connection.sql(f"SELECT count(*), count(exchange_id) FROM '{target}'").fetchall() == [(39_999, 39_999)]
    assert [name for name, *_ in found] == [column.name for column in COLUMNS]


def test_a_store_of_version_1_and_rows_of_today_are_read_together(root: Path) -> None:
    """Fields were never null before HTTP/2: lists of both kinds are of one type in a query."""
    calls = grpc_calls(50, first=4 * 3_600)
    fill(root, calls)
    found = rows(root, "exchange_id, status, request_fields, quality")
    assert found[: len(written())] == expected()
    assert [row[2] for row in found[len(written()) :]] == [row["request_fields"] for row in calls]
    grpc = rows(root, "exchange_id, grpc_status, grpc_response_messages, tls_version, hpack_unresolved")
    assert [row[1:] for row in grpc[: len(written())]] == [(None,) * 4] * len(written())
    names = ("exchange_id", "grpc_status", "grpc_response_messages", "tls_version", "hpack_unresolved")
    assert grpc[len(written()) :] == [tuple(row[name] for name in names) for row in calls]
