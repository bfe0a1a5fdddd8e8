"""Ten days without a server, by a clock that is told how late it is: what waits, what is dropped, that it adds up."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from masthead.delivery import Again, Delivery, Limits, Load, Outcome, Sent, Spool
from masthead.delivery import spool as spooling
from masthead.delivery.backoff import Backoff
from tests.unit.test_delivery_spool import numbers, some

if TYPE_CHECKING:
    from pathlib import Path

HOUR, DAY = 3_600.0, 86_400.0
# Between two attempts; longer than by default, for there are fewer steps.
LONGEST = 240.0
ROOM = 60_000
BATCH = 100


class Clock:
    """Time that passes only when it is told to; who waits for it sleeps until then."""

    def __init__(self) -> None:
        self.now = 0.0
        self._until: float | None = None
        self._asleep = False
        self._condition: threading.Condition | None = None
        self._told = threading.Condition()

    def __call__(self) -> float:
        return self.now

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        """Sleep as `Condition.wait` does, by this clock."""
        with self._told:
            self._condition, self._asleep = condition, True
            self._until = None if seconds is None else self.now + seconds
            self._told.notify_all()
        condition.wait()

    def rest(self) -> float | None:
        """Wait until whoever uses this clock sleeps; gives until when."""
        with self._told:
            assert self._told.wait_for(lambda: self._asleep, 20)
            return self._until

    def stir(self) -> None:
        """Know that somebody else is about to wake who sleeps."""
        self.rest()
        with self._told:
            self._asleep = False

    def wake(self) -> None:
        """Wake who sleeps."""
        self.stir()
        condition = self._condition
        assert condition is not None
        with condition:
            condition.notify_all()

    def advance(self, seconds: float) -> None:
        """Let time pass, with all that is due in it."""
        end = self.now + seconds
        while (due := self.rest()) is not None and due <= end:
            self.now = max(self.now, due)
            self.wake()
        self.now = end


class Server:
    """Is away, until it is there."""

    def __init__(self) -> None:
        self.there = True
        self.rows: list[int] = []
        self.attempts = 0

    def send(self, load: Load) -> Outcome:
        self.attempts += 1
        if not self.there:
            return Again("connection refused")
        self.rows += numbers(load.batch)
        return Sent()

    def close(self) -> None:
        pass


def test_ten_days_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "FILE_BYTES", 10_000)
    monkeypatch.setattr("masthead.delivery.backoff.LONGEST", LONGEST)
    clock, server, spool, said = Clock(), Server(), Spool(tmp_path, ROOM), list[str]()
    sink = Delivery(
        "db",
        server,
        Limits(seconds=1.0, grace=1.0),
        spool,
        tell=said.append,
        clock=clock,
        wait=clock.wait,
        backoff=Backoff(lambda: 1.0),
    )
    sink.start()
    written = missed = 0

    def write() -> None:
        nonlocal written, missed
        clock.stir()
        before = sink.account.received
        missed += sink.write(some(written, BATCH))
        written += BATCH
        assert sink.account.received == before + BATCH

    def check() -> None:
        clock.rest()
        counts = sink.account.counts()
        assert counts["received"] == written
        assert counts["dropped"] == missed
        assert counts["sent"] == len(server.rows)
        assert counts["waiting"] == written - len(server.rows) - missed
        # What waits is in memory or on the disk, and the disk takes one batch more than it may at most.
        assert spool.rows <= counts["waiting"]
        assert sink.spooled_bytes == sum(path.stat().st_size for path in tmp_path.glob("*.*.*.*")) < ROOM * 1.5

    write()
    clock.advance(HOUR)
    check()
    assert len(server.rows) == BATCH
    server.there = False
    for _ in range(240):
        write()
        clock.advance(HOUR)
        check()
    assert server.attempts == pytest.approx(10 * DAY / LONGEST, rel=0.01)
    assert missed > 0
    waits = sink.account.waiting
    assert waits == spool.rows > 0
    server.there = True
    clock.advance(HOUR)
    check()
    assert sink.account.waiting == 0
    # In order, each once: from before the outage, and as much of its beginning as there was room for.
    assert server.rows == sorted(set(server.rows))
    assert len(server.rows) == written - missed
    for _ in range(10):
        write()
        clock.advance(HOUR)
        check()
    assert len(server.rows) == written - missed
    clock.stir()
    sink.close()
    assert sink.account.text().startswith(f"received {written:,} = sent {written - missed:,} + dropped {missed:,}")
    assert any("takes rows again after 86" in message for message in said)
