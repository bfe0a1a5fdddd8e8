"""What waits on the disk: its order, its tokens, and what is left of it after a kill."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from masthead.delivery import Load, Spool
from masthead.delivery import spool as spooling
from masthead.errors import StoreError
from tests.unit.stored import batches, call

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from masthead._native import Batch

LARGE = 1 << 30


def some(first: int, rows: int) -> Batch:
    (batch,) = batches([call(number) for number in range(first, first + rows)])
    return batch


def numbers(batch: Batch) -> list[int]:
    # Called by threads that send: no library with a connection that all share.
    found = pa.record_batch(batch).column("exchange_id").to_pylist()
    return [int(name.removeprefix("x-")) for name in found]


def killed(spool: Spool) -> None:
    """Leave a spool as a process does that is killed: nothing is finished, and the folder is free."""
    os.close(spool._lock_file)  # noqa: SLF001 - what the kernel does


def drained(spool: Spool, max_rows: int = 100) -> Iterable[tuple[list[int], str]]:
    while load := spool.next(max_rows, LARGE):
        yield numbers(load.batch), load.token
        spool.done(load)


def test_rows_come_back_in_their_order_and_leave_the_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE)
    assert all(spool.append(some(first, 10)) for first in range(0, 50, 10))
    assert (spool.rows, spool.bytes > 0) == (50, True)
    assert [each for rows, _ in drained(spool, 25) for each in rows] == list(range(50))
    assert (spool.rows, spool.bytes) == (0, 0)
    assert not list(tmp_path.glob("*.rows"))


def test_a_load_is_given_again_until_it_is_done(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE)
    spool.append(some(0, 10))
    first, again = spool.next(5, LARGE), spool.next(100, LARGE)
    assert first is not None
    assert again is first


def test_what_is_put_back_stands_in_front_and_keeps_its_token(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE)
    spool.append(some(20, 10))
    assert spool.put_back([Load(some(0, 10), "a1-1"), Load(some(10, 10), "a1-2")]) == []
    found = list(drained(spool))
    assert [rows[0] for rows, _ in found] == [0, 10, 20]
    assert [token for _, token in found][:2] == ["a1-1", "a1-2"]


def test_what_is_put_back_stands_in_front_of_a_file_that_is_half_done(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE)
    for first in range(10, 40, 10):
        spool.append(some(first, 10))
    load = spool.next(10, LARGE)
    assert load is not None
    spool.done(load)
    spool.append(some(40, 10))
    spool.put_back([Load(some(0, 10), "a1-1")])
    assert [each for rows, _ in drained(spool) for each in rows] == [*range(10), *range(20, 50)]


def test_the_next_process_goes_on_where_this_one_was_killed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE)
    for first in range(0, 60, 10):
        spool.append(some(first, 10))
    load = spool.next(20, LARGE)
    assert load is not None
    spool.done(load)
    second = spool.next(20, LARGE)
    assert second is not None
    # It may have been sent: the same rows must come again with the same token.
    killed(spool)
    later = Spool(tmp_path, LARGE)
    assert later.recovered == later.rows == 40
    found = list(drained(later, 20))
    assert [each for rows, _ in found for each in rows] == list(range(20, 60))
    assert found[0] == (list(range(20, 40)), second.token)


def test_a_file_that_was_still_written_to_is_recovered(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE)
    spool.append(some(0, 10))
    killed(spool)
    (path,) = tmp_path.glob("*.open.rows")
    path.write_bytes(path.read_bytes() + b"\x00torn")
    later = Spool(tmp_path, LARGE)
    assert later.rows == 10
    assert [rows for rows, _ in drained(later)] == [list(range(10))]


def test_what_can_not_be_read_back_is_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE)
    spool.append(some(0, 10))
    spool.append(some(10, 10))
    spool.close()
    (path,) = tmp_path.glob("*.rows")
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 0xFF
    path.write_bytes(data)
    later = Spool(tmp_path, LARGE)
    assert [rows for rows, _ in drained(later)] == [list(range(10, 20))]
    assert (later.rows, later.damaged) == (0, 10)


def test_it_takes_no_more_than_it_may(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1)
    assert spool.append(some(0, 10))
    assert not spool.append(some(10, 10))
    assert spool.rows == 10


def test_files_are_closed_when_they_are_long_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "FILE_BYTES", 1)
    spool = Spool(tmp_path, LARGE)
    for first in range(0, 30, 10):
        spool.append(some(first, 10))
    assert len(list(tmp_path.glob("*.10.rows"))) == 3
    assert [each for rows, _ in drained(spool) for each in rows] == list(range(30))


def test_progress_of_another_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "progress").write_text(json.dumps({"file": "other", "frames": 1}))
    spool = Spool(tmp_path, LARGE)
    spool.append(some(0, 10))
    assert [rows for rows, _ in drained(spool)] == [list(range(10))]


def test_a_folder_that_can_not_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="no spool"):
        Spool(tmp_path / "file", LARGE)


def test_two_processes_never_share_one(tmp_path: Path) -> None:
    first = Spool(tmp_path, LARGE)
    with pytest.raises(StoreError, match="another masthead sends from this spool"):
        Spool(tmp_path, LARGE)
    first.close()
    Spool(tmp_path, LARGE).close()


def test_what_takes_the_place_of_a_load_comes_first_and_the_load_not_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE)
    for first in range(0, 30, 10):
        spool.append(some(first, 10))
    load = spool.next(10, LARGE)
    assert load is not None
    assert spool.replace(load, [Load(some(100, 5), "a-h0"), Load(some(105, 5), "a-h1")]) == []
    assert spool.rows == 30
    killed(spool)
    # A kill at this moment loses none of them.
    later = Spool(tmp_path, LARGE)
    assert [each for rows, _ in drained(later) for each in rows] == [*range(100, 110), *range(10, 30)]


def test_a_file_that_can_not_be_renamed_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, LARGE)
    spool.append(some(0, 10))

    def refused(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.rename", refused)
        patched.setattr(spooling, "FILE_BYTES", 1)
        assert spool.append(some(10, 10))
    assert [each for rows, _ in drained(spool) for each in rows] == list(range(20))
    assert spool.rows == 0


def test_a_file_that_was_taken_away_is_counted_and_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "FILE_BYTES", 1)
    spool = Spool(tmp_path, LARGE)
    spool.append(some(0, 10))
    spool.append(some(10, 10))
    min(tmp_path.glob("*.rows")).unlink()
    assert [rows for rows, _ in drained(spool)] == [list(range(10, 20))]
    assert (spool.rows, spool.damaged) == (0, 10)


def test_rows_that_are_done_stay_done_where_a_load_was_put_back_before_them(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LARGE)
    for first in range(0, 50, 10):
        spool.append(some(first, 10))
    load = spool.next(10, LARGE)
    assert load
    spool.done(load)
    load = spool.next(10, LARGE)
    assert load
    assert not spool.replace(load, [Load(some(16, 4), "ab-h0")])
    killed(spool)
    again = Spool(tmp_path, LARGE)
    assert again.rows == 34
    assert [each for rows, _ in drained(again) for each in rows] == [*range(16, 20), *range(20, 50)]
    assert again.rows == 0


@pytest.mark.parametrize("text", ["[]", "null", "1", '{"frames": 1}'])
def test_progress_that_is_none_says_nothing(tmp_path: Path, text: str) -> None:
    spool = Spool(tmp_path, LARGE)
    spool.append(some(0, 10))
    killed(spool)
    (tmp_path / "progress").write_text(text)
    assert Spool(tmp_path, LARGE).rows == 10
