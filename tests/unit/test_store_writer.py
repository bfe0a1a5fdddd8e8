"""The store as a sink: what it takes, what it refuses, and when a new journal begins."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from masthead.config import Config
from masthead.errors import StoreError
from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from masthead.store import writer as writing
from masthead.store.directory import Directory
from masthead.store.kinds import Kinds
from masthead.store.layout import listing
from masthead.store.writer import Writer
from tests.e2e.waiting import wait_for
from tests.unit.stored import BEGIN_NS, HOUR, batches, random_calls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALLS = random_calls(600)


class Store:
    """A writer with a clock to set."""

    def __init__(self, root: Path) -> None:
        self.root, self.now, self.told = root, BEGIN_NS, list[str]()
        self.writer = Writer(
            root, Kinds.of(Config()), sync_seconds=0.01, tell=self.told.append, clock_ns=lambda: self.now
        )

    def write(self, first: int, last: int) -> int:
        return sum(self.writer.write(batch) for batch in batches(CALLS[first:last], rows=100))

    def ids(self) -> list[str]:
        reader = DuckReader(self.root, Limits())
        found = [row[0] for row in reader.ask("SELECT exchange_id FROM exchanges ORDER BY time, exchange_id").rows()]
        reader.close()
        return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store")
    yield opened
    opened.writer.close()


def named(first: int, last: int) -> list[str]:
    return [row["exchange_id"] for row in CALLS[first:last]]


def test_what_is_written_is_seen_at_once(store: Store) -> None:
    assert store.write(0, 100) == 0
    assert store.ids() == named(0, 100)


def test_an_hour_ends_a_journal_and_so_does_a_clock_that_is_set_back(store: Store) -> None:
    for number, hour in enumerate((0, 1, 0)):
        store.now = BEGIN_NS + hour * HOUR
        store.write(number * 100, number * 100 + 100)
    wait_for(lambda: not store.writer.keeper.backlog, "full journals are packed")
    found = listing(store.root)
    assert {part.hour for part in found.parts} == {"20260801T00", "20260801T01"}
    assert [journal.number for journal in found.journals] == [3]
    assert store.ids() == named(0, 300)


class Full:
    """A journal on a disk without room."""

    bytes, rows, spoiled = 0, 1, False

    def append(self, _: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_rows_that_do_not_fit_are_counted_and_told_and_the_next_ones_are_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(0, 100)
    real = store.writer._journal  # noqa: SLF001 - the disk can't be filled here
    monkeypatch.setattr(store.writer, "_journal", Full())
    assert store.write(100, 200) == 100
    monkeypatch.setattr(store.writer, "_journal", real)
    assert store.write(200, 300) == 0
    assert store.writer.failed == 100
    assert "100 rows not kept" in store.told[0]
    assert store.ids() == [*named(0, 100), *named(200, 300)]


def test_a_sync_that_fails_is_told_as_such_and_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    class Failing:
        def sync(self) -> None:
            tries.append(1)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(store.writer, "_unsynced", [Failing()])
    wait_for(lambda: len(tries) > 2, "it is tried again")
    monkeypatch.setattr(Failing, "sync", lambda _: None)
    assert "may not survive a power cut" in store.told[0]


def test_a_journal_whose_folder_cannot_be_synced_is_not_left_behind(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    store.write(0, 100)
    monkeypatch.setattr(writing, "sync_folder", refuse)
    store.now += HOUR
    assert store.write(100, 200) == 0
    assert [journal.number for journal in listing(store.root).journals] == [1]
    monkeypatch.undo()
    store.write(200, 300)
    wait_for(lambda: not store.writer.keeper.backlog, "the old journal is packed")
    assert store.ids() == named(0, 300)


def test_a_start_that_fails_says_why_and_lets_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writing, "sync_folder", refuse)
    with pytest.raises(StoreError, match="no journal can be begun: No space left"):
        Store(tmp_path / "store")
    Directory(tmp_path / "store").close()
