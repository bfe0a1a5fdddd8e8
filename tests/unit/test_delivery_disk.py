"""The way to a server when the disk of its spool is full, slow or broken: nothing is lost that need not be."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from masthead.delivery import Again, Delivery, Limits, Load, Spool
from tests.e2e.waiting import wait_for
from tests.unit.delivery_server import Never, Server, delivery
from tests.unit.test_delivery_spool import LARGE, some

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("masthead.delivery.backoff.FIRST", 0.01)
    monkeypatch.setattr("masthead.delivery.backoff.LONGEST", 0.05)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", LARGE)


def test_trouble_with_the_spool_does_not_end_the_sending(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    server, said = Server(Again("busy")), list[str]()
    failing = [OSError(5, "Input/output error")]
    given: Callable[[int, int], Load | None] = spool.next

    def next_(rows: int, size: int) -> Load | None:
        if failing:
            raise failing.pop()
        return given(rows, size)

    monkeypatch.setattr(spool, "next", next_)
    with delivery(server, spool, said=said) as sink:
        sink.write(some(0, 10))
        wait_for(lambda: len(server.rows) == 10, "the rows are sent")
    assert any("Input/output error; trying again" in message for message in said)


def test_with_a_full_disk_rows_wait_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "spool", LARGE)
    monkeypatch.setattr(spool, "append", lambda _: False)
    monkeypatch.setattr(spool, "_write", lambda *_: False)
    server = Server(Again("busy"), Again("busy"))
    with delivery(server, spool) as sink:
        for first in range(0, 50, 10):
            assert sink.write(some(first, 10)) == 0
        wait_for(lambda: len(server.rows) == 50, "all is sent")
    assert sink.account.dropped == 0
    assert sorted(server.rows) == list(range(50))


def test_a_disk_that_can_not_sync_ends_nothing(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(spool, "sync", refused)
    monkeypatch.setattr("masthead.delivery.worker._SYNC_SECONDS", 0.0)
    server, said = Server(Again("busy"), Again("busy")), list[str]()
    with delivery(server, spool, said=said) as sink:
        sink.write(some(0, 10))
        wait_for(lambda: len(server.rows) == 10, "the rows are sent")
        sink.write(some(10, 10))
    assert server.rows == list(range(20))
    assert any("Input/output error" in message for message in said)


class SlowDisk(Spool):
    """Puts rows back when it is told to, as a disk does that is busy."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, LARGE)
        self.writing, self.may = threading.Event(), threading.Event()

    def put_back(self, loads: Sequence[Load]) -> list[Load]:
        self.writing.set()
        self.may.wait(20)
        return super().put_back(loads)


def test_rows_that_a_slow_disk_still_takes_at_the_end_are_not_lost(tmp_path: Path) -> None:
    spool, said = SlowDisk(tmp_path), list[str]()
    sink = Delivery("db", Never(), Limits(seconds=0, grace=0.05), spool, tell=said.append)
    sink.write(some(0, 10))
    assert spool.writing.wait(20)
    threading.Timer(2.0, spool.may.set).start()
    sink.close()
    assert (sink.account.dropped, sink.account.waiting) == (0, 10)
    assert said[-1] == "db: 10 rows wait in the spool for the next start"
    assert Spool(tmp_path, LARGE).rows == 10


def test_a_disk_that_does_not_come_to_an_end_is_told_and_nothing_is_called_lost(tmp_path: Path) -> None:
    spool, said = SlowDisk(tmp_path), list[str]()
    sink = Delivery("db", Never(), Limits(seconds=0, grace=0.05, disk=0.1), spool, tell=said.append)
    sink.write(some(0, 10))
    assert spool.writing.wait(20)
    sink.close()
    assert sink.account.dropped == 0
    assert "the disk is slow: 10 rows are still on their way to the spool" in said[-1]
    spool.may.set()
    wait_for(lambda: spool.rows == 10, "they are kept after all")
