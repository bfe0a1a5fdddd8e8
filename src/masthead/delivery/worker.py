"""The way of a batch to a server: a bounded queue, a thread that sends, and a spool for when it can't.

What is written is first in memory. When an attempt fails, or memory is full, rows go to the spool and come back from
there in their order, so that neither an outage nor a kill in the middle of one loses them. Writing never waits for the
server.
"""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING, cast

from masthead.delivery.account import Account
from masthead.delivery.backoff import Backoff
from masthead.delivery.memory import Memory, portions
from masthead.delivery.outcome import Again, Load, Outcome, Refused, Sender, Sent, TooLarge
from masthead.delivery.telling import Teller
from masthead.delivery.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from masthead._native import Batch as Rows
    from masthead.batch import Batch
    from masthead.delivery.limits import Limits
    from masthead.delivery.spool import Spool

# So much longer than its grace a sink is waited for.
_SLACK = 1.0
_SYNC_SECONDS = 1.0
_UNREADABLE_SECONDS = 0.2


class Delivery:
    """A sink that sends batches to a server, from `start` or the first batch on.

    Args:
        name: How the user knows it.
        sender: Makes the attempts.
        limits: Sizes and times.
        spool: Where rows wait that can't be sent; `None`: nowhere.
        tell: Takes a message for the user.
        clock: Seconds, monotonic.
        wait: Waits until something changes, at most so many seconds of the clock.
        backoff: Times the attempts.

    Attributes:
        gone: Never: a server may come back.
        account: What was handed over and what became of it.
    """

    gone = False

    def __init__(  # noqa: PLR0913 - each is a seam of its own, given by name
        self,
        name: str,
        sender: Sender,
        limits: Limits,
        spool: Spool | None,
        *,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Condition, float | None], object] = threading.Condition.wait,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self.account = Account()
        self._sender = sender
        self._limits = limits
        self._clock = clock
        self._wait = wait
        self._backoff = backoff or Backoff()
        self._teller = Teller(name, tell, clock)
        self._waiting = Waiting(Memory(limits, clock), spool, limits, self.account, self._teller)
        self._changed = self._waiting.changed
        # What is being sent out of memory, for `close` to keep when the server takes too long.
        self._current: Load | None = None
        self._abandoned = False
        self._synced_at = clock()
        self._started = False
        self._closing = False
        self._deadline = 0.0
        self._failing_since: float | None = None
        if spool is not None and spool.recovered:
            self.account.add(received=spool.recovered, spooled=spool.recovered)
            self._teller.now(f"{spool.recovered:,} rows of an earlier run wait in the spool and are sent now")
        self._thread = threading.Thread(target=self._work, name=f"masthead-{name}", daemon=True)

    @property
    def queued_bytes(self) -> int:
        """Bytes of rows that wait in memory."""
        return self._waiting.memory_bytes

    @property
    def spooled_bytes(self) -> int:
        """Bytes that wait on the disk."""
        return self._waiting.spool_bytes

    def start(self) -> None:
        """Begin to send, first what an earlier run has left."""
        with self._changed:
            if not self._started:
                self._started = True
                self._thread.start()

    def write(self, batch: Batch) -> int:
        """Take a batch; gives the rows for which there was no room."""
        # The sources give the extension's batches; the seam names only what the pipeline uses of them.
        rows = cast("Rows", batch)
        with self._changed:
            self.start()
            self.account.add(received=rows.num_rows)
            missed = sum(self._waiting.take(portion) for portion in portions(rows, self._limits))
            self._changed.notify()
        if missed:
            self.account.add(dropped=missed)
            self._teller.often("room", f"no room for more rows: {self.account.dropped:,} dropped so far")
        return missed

    def note(self, event: Mapping[str, object]) -> None:
        """Events about masthead itself are no rows and stay here."""

    def close(self) -> None:
        """Send what waits, for a while; what is left then goes to the spool."""
        with self._changed:
            self._closing = True
            self._deadline = self._clock() + self._limits.grace
            self._changed.notify()
        still_writing = False
        if self._started:
            self._thread.join(self._limits.grace + _SLACK)
            still_writing = self._thread.is_alive() and not self._abandon()
        self._sender.close()
        if still_writing:
            # They are neither kept nor lost yet; who else opens the folder would take half of them.
            self._teller.now(f"the disk is slow: {self.account.waiting:,} rows are still on their way to the spool")
            return
        self._waiting.close()
        if left := self.account.waiting:
            kept = self._waiting.spool_rows
            lost = left - kept
            self.account.add(dropped=lost)
            self._teller.now(f"{kept:,} rows wait in the spool for the next start" + _lost(lost))

    def _abandon(self) -> bool:
        """Leave an attempt that does not come to an end; its rows are sent anew, token and all, at the next start.

        Gives whether all that waits is where it stays: not while the disk is still being written to.
        """
        with self._changed:
            self._abandoned = True
            current, self._current = self._current, None
        if not self._waiting.disk.acquire(timeout=self._limits.disk):
            return False
        self._waiting.disk.release()
        self._waiting.to_disk([current] if current else [])
        return True

    def _work(self) -> None:
        while True:
            try:
                load, spooled = self._next()
                if load is None or self._abandoned:
                    self._waiting.to_disk()
                    return
                self._deliver(load, spooled=spooled)
                self._sync()
            except Exception as error:  # noqa: BLE001 - a sink that stops working in silence would be worse
                # The disk of the spool, most likely: what a sender raises is an outcome.
                self._teller.often("trouble", f"{error}; trying again")
                if not self._rest(self._backoff.failed()):
                    return

    def _next(self) -> tuple[Load | None, bool]:
        """Wait for a load; `None` when it is time to end."""
        while True:
            with self._changed:
                if self._closing and (self._clock() >= self._deadline or not self._waiting):
                    return None, False
                taken = self._waiting.next_load(closing=self._closing)
                if not taken and not self._waiting.spool_rows:
                    self._wait(self._changed, self._waiting.patience)
                    continue
            if taken:
                return self._waiting.made(taken), False
            if load := self._waiting.from_spool():
                return load, True
            with self._changed:
                # What waits can't be read just now.
                self._wait(self._changed, _UNREADABLE_SECONDS)

    def _deliver(self, load: Load, *, spooled: bool) -> None:
        began = self._clock()
        with self._changed:
            self._current = None if spooled else load
        try:
            outcome = self._sender.send(load)
        except Exception as error:  # noqa: BLE001 - whatever it is, these rows have not arrived
            outcome = Again(f"a defect: {type(error).__name__}: {error}")
        self.account.add(attempts=1, seconds=self._clock() - began)
        with self._changed:
            if self._abandoned:
                # The rows are in the spool, and whatever came of them here is not known there.
                return
            self._current = None
        self._conclude(load, outcome, spooled=spooled)

    def _conclude(self, load: Load, outcome: Outcome, *, spooled: bool) -> None:
        match outcome:
            case Sent():
                self._sent(load, outcome, spooled=spooled)
            case Again():
                self._failed(load, outcome, spooled=spooled)
            case Refused():
                self.account.add(failures=1)
                self._refused(load, load.batch.num_rows, outcome.reason, spooled=spooled)
                self._answered()
            case TooLarge():
                self.account.add(failures=1)
                self._halve(load, outcome, spooled=spooled)
                self._answered()

    def _sent(self, load: Load, outcome: Sent, *, spooled: bool) -> None:
        rows = load.batch.num_rows - outcome.refused - len(outcome.again)
        self.account.add(sent=rows, refused=outcome.refused, bytes=outcome.bytes, cut=outcome.cut)
        if outcome.refused:
            self._teller.often("refused", f"{outcome.refused:,} rows refused: {outcome.reason}")
        if outcome.cut:
            self._teller.often(
                "cut", f"{outcome.cut:,} rows left without header fields: the server has no room for them"
            )
        if outcome.again:
            left = Load(load.batch.take(list(outcome.again)), _token_of_rest(load, outcome.again))
            kept = self._waiting.put_in_place_of(load, [left], spooled=spooled)
            self._failed(left, Again(outcome.reason or "busy", outcome.after), spooled=kept)
            return
        self._waiting.settle(load, spooled=spooled)
        self._answered()

    def _answered(self) -> None:
        """Call an outage over: the server is there, whatever it says of these rows."""
        self._backoff.succeeded()
        with self._changed:
            since, self._failing_since, self._waiting.failing = self._failing_since, None, False
        if since is not None:
            seconds = self._clock() - since
            self._teller.now(f"takes rows again after {seconds:.0f} s; {self.account.waiting:,} wait")
            self._teller.over("failing")

    def _failed(self, load: Load, outcome: Again, *, spooled: bool) -> None:
        self.account.add(failures=1)
        with self._changed:
            # From here on what is written goes to the spool.
            self._waiting.failing = True
            if self._failing_since is None:
                self._failing_since = self._clock()
        self._waiting.to_disk([] if spooled else [load])
        keeps = "rows wait in the spool" if self._waiting.has_spool else "rows wait in memory"
        self._teller.often("failing", f"{outcome.reason}; {keeps}, {self.account.waiting:,} now")
        self._rest(self._backoff.failed(outcome.after))

    def _refused(self, load: Load, rows: int, reason: str, *, spooled: bool) -> None:
        self._waiting.settle(load, spooled=spooled)
        self.account.add(refused=rows)
        self._teller.often("refused", f"{rows:,} {'row' if rows == 1 else 'rows'} refused: {reason}")

    def _halve(self, load: Load, outcome: TooLarge, *, spooled: bool) -> None:
        rows = load.batch.num_rows
        if rows == 1:
            self._refused(load, 1, outcome.reason, spooled=spooled)
            return
        middle = rows // 2
        halves = [
            Load(load.batch.slice(first, count), f"{load.token}-h{number}")
            for number, (first, count) in enumerate(((0, middle), (middle, rows - middle)))
        ]
        if not self._waiting.put_in_place_of(load, halves, spooled=spooled):
            self._waiting.put_first(halves)

    def _rest(self, seconds: float) -> bool:
        """Wait between attempts; tells whether there is time for another one."""
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            with self._changed:
                if self._closing:
                    left = min(left, self._deadline - self._clock())
                    if left <= 0:
                        return False
                if self._waiting.dirty:
                    left = min(left, max(0.0, self._synced_at + _SYNC_SECONDS - self._clock()))
                self._wait(self._changed, left)
            self._sync()
        return True

    def _sync(self) -> None:
        """Make durable what waits in the spool, about each second."""
        if self._waiting.dirty and self._clock() - self._synced_at >= _SYNC_SECONDS:
            self._synced_at = self._clock()
            self._waiting.sync()


def _token_of_rest(load: Load, places: Sequence[int]) -> str:
    """Give a token of its own to the rest of a load: as long as any other, however often rests have rests."""
    return hashlib.sha256(f"{load.token}:{list(places)}".encode()).hexdigest()[:16]


def _lost(rows: int) -> str:
    return f"; {rows:,} are lost" if rows else ""
