"""How much is sent at once, how much may wait, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
        disk: How long `close` then waits for a disk that is still being written to, seconds.
    """

    rows: int = 20_000
    bytes: int = 8 << 20
    seconds: float = 1.0
    memory: int = 32 << 20
    behind: Literal["spool", "sample"] = "spool"
    grace: float = 5.0
    disk: float = 20.0
