"""Rules over the live stream: a sink that has batches counted, and a thread that asks the rules when a slot is over."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, cast

from masthead.alerts.loss import losses
from masthead.alerts.tables import taken
from masthead.extension import native

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masthead._native import Batch as Rows
    from masthead._native import Tally
    from masthead.alerts.evaluation import Evaluation
    from masthead.alerts.memory import Memory
    from masthead.alerts.notify.desk import Desk
    from masthead.batch import Batch
    from masthead.samples import Reading

# What was learned is written so often; states of alerts whenever they change.
KEEP_EVERY_NS = 300 * 1_000_000_000
# A defect that comes again and again is told so often.
_TELL_EVERY_NS = 60 * 1_000_000_000
# After a stop of the machine so many slots are caught up with; more were not watched.
_MOST_SLOTS = 240


class AlertsSink:
    """Feeds an evaluation with what is logged.

    Args:
        evaluation: The rules.
        memory: Where states are kept over a restart.
        desk: Who is told.
        grace_ns: How long after its end a slot is waited for rows of.
        tell: Takes a message for the user.
        clock_ns: The time, nanoseconds since 1970.

    Attributes:
        gone: Never.
        late: Rows that came after their slot was asked about; they are counted nowhere else.
        overflowed: Rows that had no room in their table and count as `_other`.
        failed: Rows that could not be counted.
    """

    gone = False

    def __init__(  # noqa: PLR0913 - each is a seam of its own, given by name
        self,
        evaluation: Evaluation,
        memory: Memory,
        desk: Desk,
        *,
        grace_ns: int,
        tell: Callable[[str], None],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.late = self.overflowed = self.failed = 0
        self._evaluation = evaluation
        self._memory = memory
        self._desk = desk
        self._grace_ns = grace_ns
        self._tell = tell
        self._clock_ns = clock_ns
        self._tally: Tally = native().Tally(evaluation.specification())
        self._lock = threading.Lock()
        self._lost: dict[int, Counter[str]] = {}
        memory.restore(evaluation, desk)
        # What fired before goes on, and who was told of it is not told again.
        desk.take(evaluation, clock_ns())
        self._next_ns = self._first_ns()
        self._kept_ns = clock_ns()
        self._told_ns = 0
        self._fresh: Evaluation | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="masthead-alerts", daemon=True)

    def start(self) -> None:
        """Begin to ask the rules at the ends of slots."""
        self._thread.start()

    def write(self, batch: Batch) -> int:
        """Have a batch counted; a row that no rule saw is no row that the log lost."""
        try:
            # The sources give the extension's batches; the seam names only what the pipeline uses of them.
            self._tally.observe(cast("Rows", batch))
        except RuntimeError as error:
            self.failed += batch.num_rows
            self._complain(error)
        return 0

    def set_rules(self, evaluation: Evaluation) -> None:
        """Put other rules in force, soon: they take over what the old ones know, as far as they ask for the same."""
        with self._lock:
            self._fresh = evaluation

    def note(self, event: Mapping[str, object]) -> None:
        """Take what masthead lost, for `ledger_lost`."""
        found = losses(event)
        if not found:
            return
        at_ns, counts = found
        slot_ns = self._evaluation.slot_ns
        with self._lock:
            # A loss is told after it happened: one whose slot was asked about already belongs to the next.
            end_ns = max((at_ns // slot_ns + 1) * slot_ns, self._next_ns)
            self._lost.setdefault(end_ns, Counter()).update(counts)

    def close(self) -> None:
        """Ask about what is over, keep what is known, and stop; what fires fires on after a restart."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._memory.keep(self._evaluation, self._desk)
        self._desk.close()

    def tick(self) -> None:
        """Ask the rules about the slots that are over, and tell whom it concerns."""
        if self._fresh:
            self._change_rules()
        now_ns, slot_ns = self._clock_ns(), self._evaluation.slot_ns
        changed = False
        if now_ns - self._next_ns > _MOST_SLOTS * slot_ns:
            self._skip((now_ns - _MOST_SLOTS * slot_ns) // slot_ns * slot_ns)
        over_ns = (now_ns - self._grace_ns) // slot_ns * slot_ns
        if self._next_ns <= over_ns:
            changed = self._ask(over_ns)
        changed |= self._desk.tick(now_ns)
        if now_ns - self._kept_ns >= KEEP_EVERY_NS:
            self._kept_ns = now_ns
            self._memory.keep(self._evaluation, self._desk)
        elif changed:
            self._memory.keep_states(self._evaluation, self._desk)

    def samples(self) -> list[Reading]:
        """Give metrics: `ALERTS` as Prometheus has it, and the account of the alerts themselves."""
        from masthead.alerts.samples import samples  # noqa: PLC0415 - needed only where metrics are

        with self._lock:
            counts = {"late": self.late, "overflowed": self.overflowed, "failed": self.failed}
            return samples(self._evaluation, self._desk, **counts)

    def _ask(self, over_ns: int) -> bool:
        found = taken(self._tally.take(over_ns))
        changes = 0
        with self._lock:
            self.late, self.overflowed = found.late, found.overflowed
            while self._next_ns <= over_ns:
                end_ns, self._next_ns = self._next_ns, self._next_ns + self._evaluation.slot_ns
                lost = self._lost.pop(end_ns, None)
                changes += len(self._evaluation.advance(end_ns, found.slots.get(end_ns, {}), lost))
            self._desk.take(self._evaluation, over_ns)
        return bool(changes)

    def _first_ns(self) -> int:
        """Give the end of the first slot that is watched whole: the one that goes on was not from its beginning."""
        slot_ns = self._evaluation.slot_ns
        return (self._clock_ns() // slot_ns + 2) * slot_ns

    def _change_rules(self) -> None:
        with self._lock:
            old, fresh, self._fresh = self._evaluation, self._fresh, None
            if fresh:
                fresh.restore(old.state())
                fresh.relearn(old.learned())
                self._evaluation, self._tally = fresh, native().Tally(fresh.specification())
                self._lost.clear()
                self._next_ns = self._first_ns()

    def _skip(self, end_ns: int) -> None:
        with self._lock:
            self._next_ns = end_ns + self._evaluation.slot_ns
            taken(self._tally.take(end_ns))

    def _run(self) -> None:
        while not self._stop.wait(self._pause()):
            try:
                self.tick()
            except Exception as error:  # noqa: BLE001 - a defect here must neither end the log nor go unnoticed
                self._complain(error)

    def _complain(self, error: Exception) -> None:
        if self._clock_ns() - self._told_ns >= _TELL_EVERY_NS:
            self._told_ns = self._clock_ns()
            self._tell(f"alerts: a defect: {type(error).__name__}: {error}; going on")

    def _pause(self) -> float:
        """Give the seconds until there is something to do; a second at most, since clocks are set."""
        due_ns = min(self._next_ns + self._grace_ns, self._desk.due_ns())
        return min(max((due_ns - self._clock_ns()) / 1e9, 0.01), 1.0)
