"""What a reader sees while files come, go and rot under it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from masthead.errors import QueryError
from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from masthead.store.layout import listing
from masthead.store.snapshot import Snapshot
from tests.unit.stored import BEGIN_NS, HOUR, call, fill, random_calls

if TYPE_CHECKING:
    from pathlib import Path

CALLS = random_calls(8_000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fill(tmp_path / "store", CALLS)


def count(reader: DuckReader) -> int:
    ((found,),) = reader.ask("SELECT count(*) FROM exchanges").rows()
    return int(found)


def parts(root: Path) -> list[Path]:
    return sorted((root / "parts").rglob("*.parquet"))


def test_what_is_deleted_after_it_was_opened_is_still_read(root: Path) -> None:
    reader = DuckReader(root, Limits())
    for path in [*parts(root), *(root / "journal").iterdir()]:
        path.unlink()
    assert count(reader) == len(CALLS)


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"not a Parquet file, but long enough"])
def test_a_part_that_is_none_is_told_and_left_out(root: Path, damage: bytes) -> None:
    damaged = max(listing(root).parts, key=lambda part: part.rows)
    (root / damaged.place).write_bytes(damage)
    reader = DuckReader(root, Limits())
    assert count(reader) == len(CALLS) - damaged.rows
    (problem,) = reader.problems
    assert damaged.place in problem
    assert f"{damaged.rows:,} rows" in problem


def test_a_part_that_fails_while_it_is_read_is_found_and_left_out(root: Path) -> None:
    damaged = max(listing(root).parts, key=lambda part: part.rows)
    path = root / damaged.place
    content = bytearray(path.read_bytes())
    content[8 : len(content) // 2] = bytes(len(content) // 2 - 8)
    path.write_bytes(content)
    reader = DuckReader(root, Limits())
    with pytest.raises(QueryError):
        reader.ask("SELECT sum(length(target)), max(request_fields) FROM exchanges").rows()
    assert reader.recheck()
    assert damaged.place in reader.problems[0]
    assert count(reader) == len(CALLS) - damaged.rows
    assert not reader.recheck()


def test_one_flipped_bit_is_found_by_the_checksum(root: Path) -> None:
    path = parts(root)[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    reader = DuckReader(root, Limits())
    assert reader.recheck()
    assert len(reader.problems) == 1


def test_a_reader_that_opens_while_files_come_and_go_sees_every_row_once(tmp_path: Path) -> None:
    root, stop, seen, faults = tmp_path / "store", threading.Event(), [], []
    fill(root, [call(0)])

    def read() -> None:
        while not stop.is_set():
            try:
                reader = DuckReader(root, Limits(threads=1))
                ((rows, different),) = reader.ask("SELECT count(*), count(DISTINCT exchange_id) FROM exchanges").rows()
                seen.append((rows, different))
                reader.close()
            except BaseException as error:  # noqa: BLE001 - told by the test itself
                faults.append(error)
                return

    reading = threading.Thread(target=read)
    reading.start()
    # Forty hours: journals are packed and parts merged all the time.
    for hour in range(1, 40):
        fill(root, [call(hour * 10 + number, time=BEGIN_NS + hour * HOUR + number) for number in range(10)])
    stop.set()
    reading.join()
    assert not faults
    assert all(rows == different for rows, different in seen)
    totals = [rows for rows, _ in seen]
    assert totals == sorted(totals)
    assert len(set(totals)) > 3


def test_older_parts_than_asked_for_are_not_opened(root: Path) -> None:
    hours = {held.part.hour for held in Snapshot(root).parts}
    late = {held.part.hour for held in Snapshot(root, since_ns=BEGIN_NS + 2 * HOUR).parts}
    assert late < hours
