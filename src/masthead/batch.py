"""What is moved: batches of finished exchanges, as far as Python looks into them."""

from __future__ import annotations

from typing import Protocol


class Batch(Protocol):
    """What the pipeline and the sinks need of `masthead._native.Batch`."""

    @property
    def num_rows(self) -> int:
        """How many exchanges it holds."""

    def ndjson(self, headers: str = "object") -> bytes:
        """Write one JSON object a line."""
