"""NDJSON in a file: whole loads, closed by size and age, compressed, and the oldest deleted."""

from __future__ import annotations

import errno
import gzip
import json
import os
from pathlib import Path

import pytest

from masthead.delivery import Again, Load, Sent
from masthead.errors import ConfigError
from masthead.sinks.file import FileSender, Rotation
from tests.unit.test_delivery_spool import some

DAY = 86_400
NOON = 1_785_585_600.0


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def load(first: int, rows: int = 10) -> Load:
    return Load(some(first, rows), f"t-{first}")


def ids(path: Path) -> list[str]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line)["masthead"]["exchange_id"] for line in data.splitlines()]


def closed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "calls.ndjson")


def test_rows_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "calls.ndjson"
    for first in (0, 10):
        sender = FileSender(path, Rotation(), clock=Clock())
        outcome = sender.send(load(first))
        assert isinstance(outcome, Sent)
        sender.close()
    assert ids(path) == [f"x-{number:06}" for number in range(20)]
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_is_closed_when_it_is_long_enough(tmp_path: Path) -> None:
    sender = FileSender(tmp_path / "calls.ndjson", Rotation(bytes=1), clock=Clock())
    for first in (0, 10, 20):
        sender.send(load(first))
    assert closed(tmp_path) == ["calls-20260801T120000Z-1.ndjson.gz", "calls-20260801T120000Z.ndjson.gz"]
    found = [ids(tmp_path / name) for name in reversed(closed(tmp_path))] + [ids(tmp_path / "calls.ndjson")]
    assert [each for some in found for each in some] == [f"x-{number:06}" for number in range(30)]


def test_a_file_is_closed_when_it_is_old_enough_and_not_while_it_is_empty(tmp_path: Path) -> None:
    clock = Clock()
    sender = FileSender(tmp_path / "calls.ndjson", Rotation(seconds=DAY, compress=False), clock=clock)
    clock.now += 2 * DAY
    sender.send(load(0))
    assert closed(tmp_path) == []
    clock.now += DAY
    sender.send(load(10))
    assert closed(tmp_path) == ["calls-20260804T120000Z.ndjson"]


def test_only_so_many_closed_files_are_kept(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "calls-other.ndjson").write_text("")
    sender = FileSender(tmp_path / "calls.ndjson", Rotation(bytes=1, keep=2), clock=clock)
    for day in range(5):
        clock.now = NOON + day * DAY
        sender.send(load(day * 10))
    assert closed(tmp_path) == [
        "calls-20260804T120000Z.ndjson.gz",
        "calls-20260805T120000Z.ndjson.gz",
        "calls-other.ndjson",
    ]


def test_what_an_earlier_process_did_not_come_to_compress_is_compressed(tmp_path: Path) -> None:
    (tmp_path / "calls-20260801T000000Z.ndjson").write_text("{}\n")
    FileSender(tmp_path / "calls.ndjson", Rotation()).close()
    assert closed(tmp_path) == ["calls-20260801T000000Z.ndjson.gz"]


def test_half_a_load_is_taken_back_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "calls.ndjson"
    sender = FileSender(path, Rotation())
    sender.send(load(0))
    write, calls = os.write, [100]

    def full(descriptor: int, data: memoryview) -> int:
        if not calls:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[: calls.pop()])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        outcome = sender.send(load(10))
    assert isinstance(outcome, Again)
    assert "No space left" in outcome.reason
    assert ids(path) == [f"x-{number:06}" for number in range(10)]
    sender.send(load(10))
    assert ids(path) == [f"x-{number:06}" for number in range(20)]


def test_a_file_that_can_not_be_opened_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be written to"):
        FileSender(tmp_path / "none" / "calls.ndjson", Rotation())


@pytest.mark.parametrize("torn", [b'{"half', b'{"' + b"x" * 100_000, b""])
@pytest.mark.parametrize("rows", [0, 10])
def test_half_a_line_that_a_kill_left_is_taken_back_at_the_start(tmp_path: Path, torn: bytes, rows: int) -> None:
    path = tmp_path / "calls.ndjson"
    if rows:
        sender = FileSender(path, Rotation(), clock=Clock())
        sender.send(load(0))
        sender.close()
    with path.open("ab") as file:
        file.write(torn)
    sender = FileSender(path, Rotation(), clock=Clock())
    sender.send(load(10))
    sender.close()
    assert ids(path) == [f"x-{number:06}" for number in range(10 - rows, 20)]


@pytest.mark.parametrize("removed", [True, False])
def test_a_file_that_somebody_moved_or_removed_is_begun_anew(tmp_path: Path, *, removed: bool) -> None:
    path, moved = tmp_path / "calls.ndjson", tmp_path / "moved"
    sender = FileSender(path, Rotation(), clock=Clock())
    sender.send(load(0))
    path.rename(moved)
    if removed:
        moved.unlink()
    sender.send(load(10))
    assert ids(path) == [f"x-{number:06}" for number in range(10, 20)]
    # Another one in its place is written to as well.
    path.unlink()
    path.write_bytes(b"")
    sender.send(load(20))
    assert ids(path) == [f"x-{number:06}" for number in range(20, 30)]
    if not removed:
        assert ids(moved) == [f"x-{number:06}" for number in range(10)]
    sender.close()


def test_a_file_that_was_there_is_as_old_as_its_first_row(tmp_path: Path) -> None:
    path, clock = tmp_path / "calls.ndjson", Clock()
    sender = FileSender(path, Rotation(), clock=clock)
    sender.send(load(0))
    sender.close()
    # Written to all the time: its own times are of its last row.
    for hours, files in ((11, 1), (2, 2)):
        clock.now += hours * 3_600
        sender = FileSender(path, Rotation(), clock=clock)
        sender.send(load(10))
        sender.close()
        assert len(list(tmp_path.iterdir())) == files


@pytest.mark.parametrize("text", [b"hunter2", b"a line\nand half a one"])
def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "password"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match="no row"):
        FileSender(path, Rotation())
    assert path.read_bytes() == text


def test_what_is_no_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no file"):
        FileSender(Path("/dev/null"), Rotation())
