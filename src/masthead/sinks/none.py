"""Nothing is written: for measuring, and for a service that only feeds those who follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from masthead.batch import Batch


class NoneSink:
    """Takes everything and keeps nothing."""

    gone = False

    def write(self, batch: Batch) -> int:  # noqa: ARG002 - the seam has it
        """Take a batch."""
        return 0

    def note(self, event: Mapping[str, object]) -> None:
        """Take a line about masthead itself."""

    def close(self) -> None:
        """Nothing to close."""
