"""Rows of one sink that are on their way: first in memory; on the disk when an attempt has failed or memory is full."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masthead._native import Batch
    from masthead.delivery.account import Account
    from masthead.delivery.limits import Limits
    from masthead.delivery.memory import Memory
    from masthead.delivery.outcome import Load
    from masthead.delivery.spool import Spool
    from masthead.delivery.telling import Teller


class Waiting:
    """Memory and spool of one sink.

    Args:
        memory: What waits in memory.
        spool: What waits on the disk; `None`: nothing does.
        limits: How much is read at once.
        account: Counts what becomes of rows here.
        teller: Tells the user.

    Attributes:
        changed: The lock of memory; whoever holds it does not wait for the disk, but for `take`.
        disk: Held while loads are moved to the disk or replaced there: until then they are in neither place.
        failing: Whether what is written goes to the spool at once.
    """

    def __init__(self, memory: Memory, spool: Spool | None, limits: Limits, account: Account, teller: Teller) -> None:
        self.changed = threading.Condition()
        self.disk = threading.Lock()
        self.failing = False
        self._memory = memory
        self._spool = spool
        self._limits = limits
        self._account = account
        self._teller = teller

    @property
    def memory_bytes(self) -> int:
        """Bytes of rows in memory."""
        return self._memory.bytes

    @property
    def spool_bytes(self) -> int:
        """Bytes on the disk."""
        return self._spool.bytes if self._spool else 0

    @property
    def spool_rows(self) -> int:
        """Rows on the disk."""
        return self._spool.rows if self._spool else 0

    @property
    def has_spool(self) -> bool:
        """Whether there is a disk to wait on."""
        return self._spool is not None

    @property
    def dirty(self) -> bool:
        """Whether something on the disk would not survive a power cut."""
        return self._spool is not None and self._spool.dirty

    @property
    def patience(self) -> float | None:
        """How long what is in memory may still wait, seconds; `None` where there is nothing."""
        return self._memory.patience

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._memory) or self.spool_rows > 0

    def take(self, rows: Batch) -> int:
        """Take a batch; gives the rows for which there was no room. The lock is held.

        Rows that go to the disk are handed to the kernel here, which writes them when it likes; nobody waits for that.
        """
        if self._spool and (self._spool.rows or self.failing):
            return self._to_spool(rows)
        if self._limits.behind == "sample":
            rows = self._sampled(rows)
        if self._memory.has_room(rows):
            self._memory.put(rows)
            return 0
        return self._to_spool(rows)

    def next_load(self, *, closing: bool) -> Load | list[Batch] | None:
        """Take out of memory what is to be sent next, if something is. The lock is held."""
        if self._memory.again:
            return self._memory.again.popleft()
        # What stands in front of the rows on the disk goes first.
        return self._memory.due(now=closing or self.spool_rows > 0) or None

    def made(self, taken: Load | list[Batch]) -> Load:
        """Make one load of what was taken."""
        return self._memory.load(taken) if isinstance(taken, list) else taken

    def from_spool(self) -> Load | None:
        """Give the oldest rows on the disk; `None` where they can't be read just now."""
        if self._spool is None:
            return None
        before = self._spool.damaged
        load = self._spool.next(self._limits.rows, self._limits.bytes)
        if damaged := self._spool.damaged - before:
            self._account.add(dropped=damaged)
            self._teller.often("damage", f"{damaged:,} rows of the spool can't be read; counted as dropped")
        return load

    def settle(self, load: Load, *, spooled: bool) -> None:
        """Forget a load of which there is nothing more to do."""
        if spooled and self._spool:
            with self.disk:
                self._spool.done(load)

    def put_in_place_of(self, load: Load, loads: Sequence[Load], *, spooled: bool) -> bool:
        """Put loads in the place of one that came from the spool, if it did; what has no room there is in memory."""
        if not spooled or self._spool is None:
            return False
        with self.disk:
            missed = self._spool.replace(load, loads)
            with self.changed:
                self._memory.put_first(missed)
        return True

    def put_first(self, loads: Sequence[Load]) -> None:
        """Put loads in front of all that is in memory."""
        with self.changed:
            self._memory.put_first(loads)

    def to_disk(self, loads: Sequence[Load] = ()) -> None:
        """Put loads, and behind them what is in memory, in front of all that is in the spool.

        Without a spool they stay in memory; so does that for which the disk has no room.
        """
        if self._spool is None:
            self.put_first(loads)
            return
        with self.disk:
            with self.changed:
                held = [*loads, *self._memory.take_all()]
            made = [self.made(each) for each in held]
            missed = self._spool.put_back(made)
            kept = sum(each.batch.num_rows for each in made) - sum(each.batch.num_rows for each in missed)
            self._account.add(spooled=kept)
            with self.changed:
                self._memory.again.extend(missed)

    def sync(self) -> None:
        """Make durable what waits on the disk."""
        if self._spool:
            try:
                self._spool.sync()
            except OSError as error:
                self._teller.often("sync", f"{error}; rows of the spool may not survive a power cut yet")

    def close(self) -> None:
        """Let go of the spool."""
        if self._spool:
            try:
                self._spool.close()
            except OSError as error:
                self._teller.now(f"the spool: {error}")

    def _to_spool(self, rows: Batch) -> int:
        if self._spool is not None and self._spool.append(rows):
            self._account.add(spooled=rows.num_rows)
            return 0
        nothing_before = self._spool is not None and not self._spool.rows
        if nothing_before and self._memory.has_room(rows, with_loads=True):
            self._memory.put(rows)
            return 0
        return rows.num_rows

    def _sampled(self, rows: Batch) -> Batch:
        """Leave rows out while too many wait, and say so."""
        one_in = self._memory.one_in
        if one_in == 1:
            return rows
        kept = rows.sample(one_in)
        self._account.add(sampled_out=rows.num_rows - kept.num_rows)
        self._teller.often("sample", f"can't keep up: one of {one_in} rows is sent, with its weight")
        return kept
