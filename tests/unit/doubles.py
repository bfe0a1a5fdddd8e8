"""Stand-ins at the seams: a source, a batch, a clock, a listener."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from masthead.ledger import Ledger

if TYPE_CHECKING:
    from collections import deque


@dataclass
class Rows:
    """A batch of rows in the form of NDJSON."""

    rows: list[dict[str, Any]]
    asked: int = 0

    @property
    def num_rows(self) -> int:
        return len(self.rows)

    def ndjson(self, headers: str = "object") -> bytes:
        del headers
        self.asked += 1
        return b"".join(json.dumps(row).encode() + b"\n" for row in self.rows)


@dataclass
class Recorded:
    """A source that gives what it was given, then runs dry."""

    batches: deque[Rows | None]
    counts: dict[str, int] = field(default_factory=dict)
    closed: bool = False
    on_dry: Any = None

    def next(self, timeout_ms: int) -> Rows | None:
        del timeout_ms
        if self.batches:
            batch = self.batches.popleft()
            if batch:
                self.counts["rows.written"] = self.counts.get("rows.written", 0) + batch.num_rows
            return batch
        if self.on_dry:
            self.on_dry()
        return None

    def ledger(self) -> Ledger:
        return Ledger(dict(self.counts))

    def close(self) -> None:
        self.closed = not self.batches


@dataclass
class Clock:
    """Time that passes only when told."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now
