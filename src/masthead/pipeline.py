"""One direction, no way back: source, processors, sinks; whole batches, never rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masthead.batch import Batch
    from masthead.ledger import Ledger
    from masthead.sinks import Sink
    from masthead.sources import Source

# A source that neither gives nor ends after it was closed is given up on after two seconds.
DRAIN_MS = 100
DRAIN_ROUNDS = 20

Processor: TypeAlias = "Callable[[Batch], Batch]"


class Pipeline:
    """Moves batches and keeps the account complete.

    Args:
        source: Gives batches.
        sinks: Each takes every batch.
        processors: Called in turn on each batch before it goes to the sinks.

    Attributes:
        rows: Rows that came out of the source.
        failed: Rows that did not get through to some sink.
    """

    def __init__(self, source: Source, sinks: Sequence[Sink], processors: Sequence[Processor] = ()) -> None:
        self.source = source
        self.sinks = list(sinks)
        self.rows = 0
        self.failed = 0
        self._processors = tuple(processors)

    @property
    def gone(self) -> bool:
        """Whether no sink has anyone left who reads."""
        return all(sink.gone for sink in self.sinks)

    def step(self, timeout_ms: int) -> bool:
        """Move the next batch, waiting for it at most so long; tells whether there was one."""
        batch = self.source.next(timeout_ms)
        if batch is None:
            return False
        self.rows += batch.num_rows
        for processor in self._processors:
            batch = processor(batch)
        # A row that one of several sinks missed is one failed row, not several.
        self.failed += max((sink.write(batch) for sink in self.sinks), default=0)
        return True

    def drain(self) -> None:
        """Stop the source and move what it still holds."""
        self.source.close()
        patience = DRAIN_ROUNDS
        while patience and not self.source.closed:
            if not self.step(timeout_ms=DRAIN_MS):
                patience -= 1

    def ledger(self) -> Ledger:
        """Give the source's account with the failures of the sinks."""
        return self.source.ledger().with_failures(self.failed)
