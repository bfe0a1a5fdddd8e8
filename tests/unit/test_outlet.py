import errno
import fcntl
import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from masthead.errors import ConfigError
from masthead.sinks.outlet import Outlet, complain
from tests.unit.doubles import Clock


@pytest.fixture
def told() -> list[str]:
    return []


@contextmanager
def full_at_ten_bytes() -> Iterator[None]:
    """Limit files to ten bytes: a write past it is cut short, the next one fails (EFBIG).

    No fixture: the limit holds for the test's own output too, which goes to a file in many places.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_is_appended_to_and_not_for_everyone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for line in (b"1\n", b"2\n"):
        outlet = Outlet(str(path))
        assert outlet.write(line) == 0
        outlet.close()
    assert path.read_bytes() == b"1\n2\n"
    assert path.stat().st_mode & 0o007 == 0


def test_a_file_that_cannot_be_opened_is_a_setting_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        Outlet(str(tmp_path))


@full_at_ten_bytes()
def test_a_full_disk_costs_rows_that_are_counted_and_leaves_no_half_line(tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "log"
    outlet = Outlet(str(path), tell=told.append)
    assert outlet.write(b"abc\ndef\nghi\njkl\n") == 2
    assert path.read_bytes() == b"abc\ndef\n"
    assert outlet.write(b"xyz\n") == 1
    assert outlet.failed == 3
    assert len(told) == 1


@full_at_ten_bytes()
def test_after_room_is_made_rows_go_on_where_they_belong(tmp_path: Path) -> None:
    path = tmp_path / "log"
    outlet = Outlet(str(path), tell=lambda _: None)
    outlet.write(b"abc\ndefghijkl\n")
    os.truncate(path, 0)
    assert outlet.write(b"new\n") == 0
    assert path.read_bytes() == b"new\n"


@full_at_ten_bytes()
def test_half_a_line_on_an_inherited_descriptor_is_ended_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb", buffering=0) as file:
        outlet = Outlet(descriptor=file.fileno(), tell=lambda _: None)
        assert outlet.write(b"abc\ndefghijkl\n") == 1
        os.ftruncate(file.fileno(), 6)
        os.lseek(file.fileno(), 6, os.SEEK_SET)
        assert outlet.write(b"xyz") == 0
    assert path.read_bytes() == b"abc\nde\nxyz"


def test_failures_are_told_once_a_minute_with_their_number(told: list[str]) -> None:
    clock = Clock()
    descriptor = os.open("/dev/full", os.O_WRONLY)
    outlet = Outlet(descriptor=descriptor, clock=clock, tell=told.append)
    outlet.write(b"1\n2\n")
    clock.now = 59
    outlet.write(b"3\n")
    clock.now = 60
    outlet.write(b"4\n")
    os.close(descriptor)
    assert len(told) == 2
    assert os.strerror(errno.ENOSPC) in told[0]
    assert " 2 rows" in told[0]
    assert " 2 rows" in told[1]
    assert outlet.failed == 4


def test_a_reader_that_left_is_noticed(told: list[str]) -> None:
    reading, writing = os.pipe()
    outlet = Outlet(descriptor=writing, tell=told.append)
    before = outlet.gone
    os.close(reading)
    assert outlet.write(b"1\n") == 1
    assert (before, outlet.gone) == (False, True)
    assert "Broken pipe" in told[0]
    assert Outlet(descriptor=writing, reader_may_leave=True, tell=told.append).write(b"1\n") == 1
    assert len(told) == 1
    os.close(writing)


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
    data = b"x" * 999_999 + b"\n"
    got = bytearray()

    def read() -> None:
        while len(got) < len(data):
            got.extend(os.read(reading, 65_536))

    reader = threading.Thread(target=read)
    reader.start()
    assert Outlet(descriptor=writing).write(data) == 0
    reader.join()
    os.close(reading)
    os.close(writing)
    assert got == data


def test_a_note_is_no_row() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    outlet = Outlet(descriptor=descriptor, tell=lambda _: None)
    outlet.write_note(b"{}\n")
    os.close(descriptor)
    assert outlet.failed == 0


def test_what_strangers_say_does_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    complain("loki: \x1b[2Jst\u00f6rung\nsecond line\r")
    assert capsys.readouterr().err == "masthead: loki: \\x1b[2Jst\u00f6rung\nsecond line\\x0d\n"
