"""Rows that wait in memory, within a bound: batches in the order in which they came; loads come before them."""

from __future__ import annotations

import secrets
from collections import deque
from typing import TYPE_CHECKING

from masthead.delivery.outcome import Load
from masthead.extension import native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from masthead._native import Batch
    from masthead.delivery.limits import Limits

# Behind by this share of memory, a sink whose policy is to sample keeps one row of two, four, eight.
_SAMPLED = ((0.875, 8), (0.75, 4), (0.5, 2))


def portions(batch: Batch, limits: Limits) -> Iterator[Batch]:
    """Take a batch apart that is more than a load may be: loads are made of whole batches."""
    parts = max(-(-batch.num_rows // limits.rows), batch.nbytes // limits.bytes if limits.bytes else 0, 1)
    if parts == 1 or batch.num_rows <= 1:
        yield batch
        return
    rows = -(-batch.num_rows // parts)
    for first in range(0, batch.num_rows, rows):
        yield batch.slice(first, rows)


class Memory:
    """The queue of one sink; whoever uses it holds the lock of the sink.

    Args:
        limits: How much fills a load, and how much may wait.
        clock: Seconds, monotonic.

    Attributes:
        bytes: Of the batches that wait.
        again: Loads that come first: halves of larger ones, and those that failed where there is no spool for them.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self.bytes = 0
        self.again: deque[Load] = deque()
        self._limits = limits
        self._clock = clock
        self._queue: deque[tuple[float, Batch]] = deque()
        # No two processes name a load alike.
        self._run = f"{secrets.randbits(64):016x}"
        self._loads = 0

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._queue or self.again)

    @property
    def all_bytes(self) -> int:
        """Bytes of batches and loads."""
        return self.bytes + sum(load.batch.nbytes for load in self.again)

    @property
    def patience(self) -> float | None:
        """How long the oldest batch may still wait for a load to fill up, seconds; `None` where there is none."""
        return max(0.0, self._queue[0][0] + self._limits.seconds - self._clock()) if self._queue else None

    @property
    def one_in(self) -> int:
        """One row of how many a sink keeps now that samples when it can't keep up."""
        share = self.bytes / self._limits.memory
        return next((one_in for level, one_in in _SAMPLED if share >= level), 1)

    def has_room(self, batch: Batch, *, with_loads: bool = False) -> bool:
        """Whether a batch may still be put."""
        return (self.all_bytes if with_loads else self.bytes) + batch.nbytes <= self._limits.memory

    def put(self, batch: Batch) -> None:
        """Put a batch behind all others."""
        if batch.num_rows:
            self._queue.append((self._clock(), batch))
            self.bytes += batch.nbytes

    def put_first(self, loads: Iterable[Load]) -> None:
        """Put loads in front of all others, in their order."""
        self.again.extendleft(reversed(list(loads)))

    def due(self, *, now: bool) -> list[Batch]:
        """Take what fills a load or has waited long enough; with `now`, as much as there is of it."""
        waits = self.patience
        if waits is None or (waits > 0 and not now and self.bytes < self._limits.bytes):
            return []
        return self._gather()

    def take_all(self) -> list[Load | list[Batch]]:
        """Take everything, in order; batches in portions that make one load each."""
        taken: list[Load | list[Batch]] = [*self.again]
        self.again.clear()
        while self._queue:
            taken.append(self._gather())
        return taken

    def load(self, batches: list[Batch]) -> Load:
        """Make a load of batches, with a token of its own."""
        self._loads += 1
        whole = batches[0] if len(batches) == 1 else native().concat(batches)
        return Load(whole, f"{self._run}-{self._loads}")

    def _gather(self) -> list[Batch]:
        some: list[Batch] = []
        rows = size = 0
        while self._queue:
            _, batch = self._queue[0]
            if some and (rows + batch.num_rows > self._limits.rows or size + batch.nbytes > self._limits.bytes):
                break
            self._queue.popleft()
            some.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
        self.bytes -= size
        return some
