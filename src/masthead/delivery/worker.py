"""The way of a batch to a server: a bounded queue, a thread that sends, and a spool for when it can't.

What is written is first in memory. When an attempt fails, or memory is full, rows go to the spool and come back from
there in their order, so that neither an outage nor a kill in the middle of one loses them. Writing never waits for the
server.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from masthead.delivery.account import Account
from masthead.delivery.backoff import Backoff
from masthead.delivery.outcome import Again, Load, Refused, Sender, Sent, TooLarge
from masthead.extension import native

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from masthead._native import Batch as Rows
    from masthead.batch import Batch
    from masthead.delivery.spool import Spool

REPORT_EVERY = 60.0
# So much longer than its grace a sink is waited for.
_SLACK = 1.0
_SYNC_SECONDS = 1.0
_UNREADABLE_SECONDS = 0.2
# Behind by this share of memory, a sink whose policy is to sample keeps one row of two, four, eight.
_SAMPLED = ((0.875, 8), (0.75, 4), (0.5, 2))


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is sent at once, and how much may wait.

    Attributes:
        rows: At most so many in one load.
        bytes: About so many bytes of rows in one load, as they lie in memory.
        seconds: So long rows wait for a load to fill up.
        memory: So many bytes of rows wait in memory.
        behind: What becomes of rows when memory is full: to the disk, or fewer of them.
        grace: How long `close` goes on sending, seconds.
    """

    rows: int = 20_000
    bytes: int = 8 << 20
    seconds: float = 1.0
    memory: int = 32 << 20
    behind: Literal["spool", "sample"] = "spool"
    grace: float = 5.0


class Delivery:
    """A sink that sends batches to a server.

    Args:
        name: How the user knows it.
        sender: Makes the attempts.
        limits: Sizes and times.
        spool: Where rows wait that can't be sent; `None`: nowhere.
        tell: Takes a message for the user.
        clock: Seconds, monotonic.
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
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self.account = Account()
        self._sender = sender
        self._limits = limits
        self._spool = spool
        self._tell = tell
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._run = f"{secrets.randbits(64):016x}"
        self._loads = 0
        self._queue: deque[tuple[float, Rows]] = deque()
        self._queued = 0
        # Loads that come first: halves of larger ones, and those that failed where there is no spool for them.
        self._again: deque[Load] = deque()
        # What is being sent out of memory, for `close` to keep when the server takes too long.
        self._current: Load | None = None
        self._abandoned = False
        self._synced_at = clock()
        self._changed = threading.Condition()
        self._closing = False
        self._deadline = 0.0
        self._told: dict[str, float] = {}
        self._failing_since: float | None = None
        if spool is not None and spool.recovered:
            self.account.add(received=spool.recovered, spooled=spool.recovered)
            tell(f"{name}: {spool.recovered:,} rows of an earlier run wait in the spool and are sent now")
        self._thread = threading.Thread(target=self._work, name=f"masthead-{name}", daemon=True)
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        """Bytes of rows that wait in memory."""
        return self._queued

    @property
    def spooled_bytes(self) -> int:
        """Bytes that wait on the disk."""
        return self._spool.bytes if self._spool else 0

    def write(self, batch: Batch) -> int:
        """Take a batch; gives the rows for which there was no room."""
        # The sources give the extension's batches; the seam names only what the pipeline uses of them.
        rows = cast("Rows", batch)
        with self._changed:
            self.account.add(received=rows.num_rows)
            missed = self._take(rows)
            self._changed.notify()
        if missed:
            self.account.add(dropped=missed)
            self._say("room", f"no room for more rows: {self.account.dropped:,} dropped so far")
        return missed

    def note(self, event: Mapping[str, object]) -> None:
        """Events about masthead itself are no rows and stay here."""

    def close(self) -> None:
        """Send what waits, for a while; what is left then goes to the spool."""
        with self._changed:
            self._closing = True
            self._deadline = self._clock() + self._limits.grace
            self._changed.notify()
        self._thread.join(self._limits.grace + _SLACK)
        if self._thread.is_alive():
            self._abandon()
        self._sender.close()
        if self._spool:
            try:
                self._spool.close()
            except OSError as error:
                self._tell(f"{self.name}: the spool: {error}")
        left = self.account.waiting
        if left:
            kept = self._spool.rows if self._spool else 0
            lost = left - kept
            self.account.add(dropped=lost)
            self._tell(f"{self.name}: {kept:,} rows wait in the spool for the next start" + _lost(lost))

    def _abandon(self) -> None:
        """Leave an attempt that does not come to an end; its rows are sent anew, token and all, at the next start."""
        with self._changed:
            self._abandoned = True
            current, self._current = self._current, None
            self._keep(self._held([current] if current else []))

    def _take(self, rows: Rows) -> int:
        if self._spool and (self._spool.rows or self._failing_since is not None):
            return self._to_spool(rows)
        if self._limits.behind == "sample":
            rows = self._sampled(rows)
        if self._queued + rows.nbytes <= self._limits.memory:
            if rows.num_rows:
                self._queue.append((self._clock(), rows))
                self._queued += rows.nbytes
            return 0
        return self._to_spool(rows)

    def _to_spool(self, rows: Rows) -> int:
        if self._spool is not None and self._spool.append(rows):
            self.account.add(spooled=rows.num_rows)
            return 0
        nothing_before = self._spool is not None and not self._spool.rows
        if nothing_before and self._held_bytes() + rows.nbytes <= self._limits.memory:
            self._queue.append((self._clock(), rows))
            self._queued += rows.nbytes
            return 0
        return rows.num_rows

    def _held_bytes(self) -> int:
        return self._queued + sum(load.batch.nbytes for load in self._again)

    def _sampled(self, rows: Rows) -> Rows:
        """Leave rows out while too many wait, and say so."""
        share = self._queued / self._limits.memory
        one_in = next((one_in for level, one_in in _SAMPLED if share >= level), 1)
        if one_in == 1:
            return rows
        kept = rows.sample(one_in)
        self.account.add(sampled_out=rows.num_rows - kept.num_rows)
        self._say("sample", f"can't keep up: one of {one_in} rows is sent, with its weight")
        return kept

    def _work(self) -> None:
        while True:
            try:
                load, spooled = self._next()
                if load is None or self._abandoned:
                    return
                self._deliver(load, spooled=spooled)
                self._sync()
            except Exception as error:  # noqa: BLE001 - a sink that stops working in silence would be worse
                # The disk of the spool, most likely: what a sender raises is an outcome.
                self._say("trouble", f"{error}; trying again")
                if not self._rest(self._backoff.failed()):
                    return

    def _sync(self) -> None:
        """Make durable what waits in the spool, about each second."""
        if self._spool and self._spool.rows and self._clock() - self._synced_at >= _SYNC_SECONDS:
            self._synced_at = self._clock()
            try:
                self._spool.sync()
            except OSError as error:
                self._say("sync", f"{error}; rows of the spool may not survive a power cut yet")

    def _next(self) -> tuple[Load | None, bool]:
        """Wait for a load; `None` when it is time to end."""
        while True:
            with self._changed:
                if self._closing and (self._clock() >= self._deadline or not self._holds()):
                    self._keep_rest()
                    return None, False
                if self._again:
                    return self._again.popleft(), False
                some = self._due()
                if not some and not (self._spool and self._spool.rows):
                    self._changed.wait(self._patience())
                    continue
            if some:
                return self._load(some), False
            if load := self._from_spool():
                return load, True
            with self._changed:
                # What waits can't be read just now.
                self._changed.wait(_UNREADABLE_SECONDS)

    def _from_spool(self) -> Load | None:
        if self._spool is None:
            return None
        before = self._spool.damaged
        load = self._spool.next(self._limits.rows, self._limits.bytes)
        if damaged := self._spool.damaged - before:
            self.account.add(dropped=damaged)
            self._say("damage", f"{damaged:,} rows of the spool can't be read; counted as dropped")
        return load

    def _patience(self) -> float:
        if not self._queue:
            return 1.0
        return max(0.0, self._queue[0][0] + self._limits.seconds - self._clock())

    def _holds(self) -> bool:
        return bool(self._queue or self._again or (self._spool and self._spool.rows))

    def _due(self) -> list[Rows]:
        """Take what fills a load, or has waited long enough, or stands in front of what is in the spool."""
        behind = bool(self._spool and self._spool.rows)
        if not self._queue or (
            self._patience() > 0 and not self._closing and not behind and self._queued < self._limits.bytes
        ):
            return []
        return self._gather()

    def _gather(self) -> list[Rows]:
        some: list[Rows] = []
        rows = size = 0
        while self._queue:
            _, batch = self._queue[0]
            if some and (rows + batch.num_rows > self._limits.rows or size + batch.nbytes > self._limits.bytes):
                break
            self._queue.popleft()
            some.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
        self._queued -= size
        return some

    def _load(self, some: list[Rows]) -> Load:
        self._loads += 1
        whole = some[0] if len(some) == 1 else native().concat(some)
        return Load(whole, f"{self._run}-{self._loads}")

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
        match outcome:
            case Sent():
                self._sent(load, outcome, spooled=spooled)
            case Again():
                self._failed(load, outcome, spooled=spooled)
            case Refused():
                self.account.add(failures=1, refused=load.batch.num_rows)
                self._say("refused", f"{load.batch.num_rows:,} rows refused: {outcome.reason}")
                self._settle(load, spooled=spooled)
            case TooLarge():
                self._halve(load, outcome, spooled=spooled)

    def _sent(self, load: Load, outcome: Sent, *, spooled: bool) -> None:
        rows = load.batch.num_rows - outcome.refused - len(outcome.again)
        self.account.add(sent=rows, refused=outcome.refused, bytes=outcome.bytes)
        if outcome.refused:
            self._say("refused", f"{outcome.refused:,} rows refused: {outcome.reason}")
        if outcome.again:
            left = Load(load.batch.take(list(outcome.again)), _token_of_rest(load, outcome.again))
            kept = self._in_place_of(load, [left], spooled=spooled)
            self._failed(left, Again(outcome.reason or "busy", outcome.after), spooled=kept)
            return
        self._settle(load, spooled=spooled)
        self._backoff.succeeded()
        if self._failing_since is not None:
            seconds = self._clock() - self._failing_since
            self._failing_since = None
            self._tell(f"{self.name}: takes rows again after {seconds:.0f} s; {self.account.waiting:,} wait")
            self._told.pop("failing", None)

    def _settle(self, load: Load, *, spooled: bool) -> None:
        if spooled and self._spool:
            with self._changed:
                self._spool.done(load)

    def _in_place_of(self, load: Load, loads: list[Load], *, spooled: bool) -> bool:
        """Put loads in the place of one that came from the spool, if it did; what has no room there is in memory."""
        if not spooled or self._spool is None:
            return False
        missed = self._spool.replace(load, loads)
        with self._changed:
            self._again.extendleft(reversed(missed))
        return True

    def _failed(self, load: Load, outcome: Again, *, spooled: bool) -> None:
        self.account.add(failures=1)
        with self._changed:
            # From here on what is written goes to the spool.
            if self._failing_since is None:
                self._failing_since = self._clock()
            held = [] if spooled else self._held([load])
        # Not under the lock: whoever writes must not wait for the disk.
        self._keep(held)
        keeps = "rows wait in the spool" if self._spool else "rows wait in memory"
        self._say("failing", f"{outcome.reason}; {keeps}, {self.account.waiting:,} now")
        self._rest(self._backoff.failed(outcome.after))

    def _rest(self, seconds: float) -> bool:
        """Wait between attempts; tells whether there is time for another one."""
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            with self._changed:
                if self._closing and self._clock() >= self._deadline:
                    return False
                self._changed.wait(min(left, _SYNC_SECONDS))
            self._sync()
        return True

    def _held(self, loads: list[Load]) -> list[Load | list[Rows]]:
        """Take out of memory what has to go to the spool, in order; without a spool it stays, to be tried again."""
        if self._spool is None:
            self._again.extendleft(reversed(loads))
            return []
        held: list[Load | list[Rows]] = [*loads, *self._again]
        self._again.clear()
        while self._queue:
            held.append(self._gather())
        return held

    def _keep(self, held: list[Load | list[Rows]]) -> None:
        """Put loads in front of all that is in the spool."""
        if self._spool is None or not held:
            return
        loads = [each if isinstance(each, Load) else self._load(each) for each in held]
        missed = self._spool.put_back(loads)
        self.account.add(
            spooled=sum(each.batch.num_rows for each in loads) - sum(each.batch.num_rows for each in missed)
        )
        with self._changed:
            # The disk is full, say: memory held them before, and does so again.
            self._again.extend(missed)

    def _keep_rest(self) -> None:
        """Put what is still in memory on the disk: it is time to end."""
        self._keep(self._held([]))

    def _halve(self, load: Load, outcome: TooLarge, *, spooled: bool) -> None:
        self.account.add(failures=1)
        rows = load.batch.num_rows
        if rows == 1:
            self._settle(load, spooled=spooled)
            self.account.add(refused=1)
            self._say("refused", f"one row refused: {outcome.reason}")
            return
        middle = rows // 2
        halves = [
            Load(load.batch.slice(first, count), f"{load.token}-h{number}")
            for number, (first, count) in enumerate(((0, middle), (middle, rows - middle)))
        ]
        if not self._in_place_of(load, halves, spooled=spooled):
            with self._changed:
                self._again.extendleft(reversed(halves))

    def _say(self, topic: str, message: str) -> None:
        now = self._clock()
        if now - self._told.get(topic, -REPORT_EVERY) >= REPORT_EVERY:
            self._told[topic] = now
            self._tell(f"{self.name}: {message}")


def _token_of_rest(load: Load, places: Sequence[int]) -> str:
    """Give a token of its own to the rest of a load: as long as any other, however often rests have rests."""
    return hashlib.sha256(f"{load.token}:{list(places)}".encode()).hexdigest()[:16]


def _lost(rows: int) -> str:
    return f"; {rows:,} are lost" if rows else ""
