"""What a sink was handed and what became of it. It adds up at any moment."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class Account:
    """Counts of rows, but for `attempts` and the three behind it.

    Attributes:
        received: Handed over.
        sent: Taken by the server.
        refused: That the server will never take (it said why, and that was told).
        dropped: For which there was no room, neither in memory nor in the spool.
        sampled_out: Left out because the sink could not keep up and its policy is to sample; others weigh more.
        spooled: That went to the disk on their way; they are counted above as well.
        attempts: Requests made.
        failures: Requests that did not succeed.
        bytes: Sent, as they went over the wire.
        seconds: Spent on requests.
        cut: Rows among those sent that left without their header fields: the server's limits had no room for them.
    """

    received: int = 0
    sent: int = 0
    refused: int = 0
    dropped: int = 0
    sampled_out: int = 0
    spooled: int = 0
    attempts: int = 0
    failures: int = 0
    bytes: int = 0
    seconds: float = 0.0
    cut: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def waiting(self) -> int:
        """Rows that are still on their way."""
        return self.received - self.sent - self.refused - self.dropped - self.sampled_out

    def add(self, **more: float) -> None:
        """Count."""
        with self._lock:
            for name, amount in more.items():
                setattr(self, name, getattr(self, name) + amount)

    def counts(self) -> dict[str, float]:
        """Give all counts by name, `waiting` with them."""
        with self._lock:
            found = {each.name: getattr(self, each.name) for each in fields(self) if not each.name.startswith("_")}
            return {**found, "waiting": self.waiting}

    def text(self) -> str:
        """Give it in words, without what never happened."""
        counts = self.counts()
        rest = ("sent", "waiting", "refused", "dropped", "sampled_out")
        said = [f"{name.replace('_', ' ')} {counts[name]:,}" for name in rest if counts[name] or name == "sent"]
        retried = f"; {counts['failures']:,} of {counts['attempts']:,} attempts failed" if self.failures else ""
        cut = f"; {counts['cut']:,} of them sent without header fields" if self.cut else ""
        return f"received {counts['received']:,} = {' + '.join(said)}{cut}{retried}"
