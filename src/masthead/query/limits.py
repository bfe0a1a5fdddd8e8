"""What one query may take."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from masthead.config.units import age_seconds, size_bytes

if TYPE_CHECKING:
    from masthead.config import Config


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may take.

    Attributes:
        memory: Bytes.
        seconds: Time; `None`: as long as it takes.
        threads: Processors.
    """

    memory: int = 1_000_000_000
    seconds: float | None = 300
    threads: int = 1

    @classmethod
    def of(cls, config: Config) -> Limits:
        """Read them from the settings."""
        query = config.query
        threads = query.threads or os.cpu_count() or 1
        return cls(int(size_bytes(query.memory)), age_seconds(query.timeout), threads)
