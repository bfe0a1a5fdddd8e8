"""The engine over real stores: what it sees, and what it must not reach."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from masthead.errors import QueryError
from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from tests.e2e.waiting import wait_for
from tests.unit.stored import BEGIN_NS, HOUR, SECOND, call, fill, pairs, random_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLS = random_calls(8_000)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("store"), CALLS)


@pytest.fixture
def reader(root: Path) -> Iterator[DuckReader]:
    opened = DuckReader(root, Limits(threads=2), now_ns=lambda: BEGIN_NS + 2 * HOUR)
    yield opened
    opened.close()


def one(reader: DuckReader, sql: str) -> object:
    ((value,),) = reader.ask(sql).rows()
    return value


def test_parts_and_journals_are_one_view(root: Path, reader: DuckReader) -> None:
    assert list((root / "parts").rglob("*.parquet"))
    assert list((root / "journal").iterdir())
    assert one(reader, "SELECT count(*) FROM exchanges") == len(CALLS)
    ids = [row[0] for row in reader.ask("SELECT exchange_id FROM exchanges ORDER BY time").rows()]
    assert ids == [row["exchange_id"] for row in CALLS]


def test_fields_come_back_in_order_with_case_and_duplicates(reader: DuckReader) -> None:
    found = reader.ask("SELECT request_fields, response_fields FROM exchanges ORDER BY time").rows()
    assert [list(row) for row in found] == [[row["request_fields"], row["response_fields"]] for row in CALLS]


def test_short_forms_give_first_and_all_values(tmp_path: Path) -> None:
    sent = pairs(("Accept", "a"), ("ACCEPT", "b"), ("Host", ""))
    reader = DuckReader(fill(tmp_path / "store", [call(0, request_fields=sent, response_fields=None)]), Limits())
    answer = reader.ask("SELECT req('accept'), req_all('accept'), req('host'), req('x'), resp('x') FROM exchanges")
    assert answer.columns == ["req('accept')", "req_all('accept')", "req('host')", "req('x')", "resp('x')"]
    assert answer.rows() == [("a", ["a", "b"], "", None, None)]


def test_times_are_texts_to_the_nanosecond(tmp_path: Path) -> None:
    reader = DuckReader(fill(tmp_path / "store", [call(0, time=BEGIN_NS + 123_456_789)]), Limits())
    assert reader.ask("SELECT time, max(time) AS t FROM exchanges GROUP BY ALL").rows() == [
        ("2026-08-01T00:00:00.123456789Z",) * 2
    ]


def test_what_is_older_is_not_seen_and_its_parts_are_not_opened(root: Path) -> None:
    late = DuckReader(root, Limits(), since_ns=BEGIN_NS + 2 * HOUR + 10 * SECOND)
    assert one(late, "SELECT count(*) FROM exchanges") == len(CALLS) - 7_210
    everything = DuckReader(root, Limits())
    assert len(late._snapshot.parts) < len(everything._snapshot.parts)  # noqa: SLF001 - what it spares


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM read_blob('/proc/self/fd/0')",
        "SELECT * FROM read_parquet('{root}/parts/*/*/*.parquet')",
        "SELECT * FROM '{root}/format.json'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT getenv('HOME')",
        "SELECT * FROM reader",
        "COPY (SELECT 1) TO '{root}/out.csv'",
        "ATTACH '{root}/out.db'",
        "EXPORT DATABASE '{root}/out'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '100GB'",
        "RESET memory_limit",
        "PRAGMA enable_profiling",
        "DROP VIEW exchanges",
        "CREATE TABLE t AS SELECT 1",
        "SELECT 1; SELECT 2",
        "",
        "SELEC 1",
    ],
)
def test_a_query_reads_the_store_and_nothing_else(root: Path, reader: DuckReader, sql: str) -> None:
    before = sorted(root.rglob("*"))
    with pytest.raises(QueryError):
        reader.ask(sql.format(root=root)).rows()
    assert sorted(root.rglob("*")) == before
    assert one(reader, "SELECT count(*) FROM exchanges") == len(CALLS)


def test_a_mistake_is_shown_where_it_was_made(reader: DuckReader) -> None:
    with pytest.raises(QueryError, match=r"(?s)LINE 1: SELECT statu FROM exchanges\n +\^"):
        reader.ask("SELECT statu FROM exchanges")


def test_memory_is_bounded(root: Path) -> None:
    tight = DuckReader(root, Limits(memory=20_000_000, threads=1))
    with pytest.raises(QueryError, match="more memory than it may have"):
        tight.ask("SELECT list(e) FROM exchanges e, range(1000)").rows()
    assert one(tight, "SELECT count(*) FROM exchanges") == len(CALLS)


def test_time_is_bounded(root: Path) -> None:
    hasty = DuckReader(root, Limits(seconds=0.2))
    with pytest.raises(QueryError, match=r"stopped after 0\.2 s"):
        hasty.ask("SELECT sum(a.range * b.range) FROM range(100000000) a, range(100000000) b").rows()


def test_rows_come_before_the_query_is_over_and_it_can_be_left(reader: DuckReader) -> None:
    before = threading.active_count()
    answer = reader.ask("SELECT range FROM range(10000000000)")
    chunks = answer.chunks()
    assert next(chunks)[0] == (0,)
    answer.close()
    assert threading.active_count() == before


def test_a_relation_outlives_its_reader(root: Path) -> None:
    relation = DuckReader(root, Limits()).relation("SELECT count(*) FROM exchanges")
    gc.collect()
    assert relation.fetchall() == [(len(CALLS),)]


def test_descriptors_are_given_back(root: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_files()
    reader = DuckReader(root, Limits())
    reader.ask("SELECT 1 FROM exchanges").rows()
    reader.close()
    del reader
    gc.collect()
    wait_for(lambda: open_files() == before, "all descriptors are closed")
