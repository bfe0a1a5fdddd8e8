"""How long to wait before the next attempt: twice as long each time, with jitter, or as long as the server asks."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = 0.5
LONGEST = 30.0
# A server that asks for more is asked again all the same: it may have been restarted since.
LONGEST_ASKED = 300.0


@dataclass(slots=True)
class Backoff:
    """Counts failures in a row.

    Attributes:
        draw: Gives a number from 0 to 1: many hosts that lost one server must not come back together.
        failures: So many in a row so far.
    """

    draw: Callable[[], float] = field(default=random.random)
    failures: int = 0

    def failed(self, asked: float | None = None) -> float:
        """Count a failure; gives how long to wait, seconds."""
        longest = min(LONGEST, FIRST * 2.0 ** min(self.failures, 16))
        self.failures += 1
        wait = longest * (0.5 + 0.5 * self.draw())
        return wait if asked is None else min(max(asked, wait), LONGEST_ASKED)

    def succeeded(self) -> None:
        """Begin anew."""
        self.failures = 0
