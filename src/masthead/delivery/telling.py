"""What a sink tells the user: each topic now and then, not with every load."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

REPORT_EVERY = 60.0


class Teller:
    """Tells of one sink.

    Args:
        name: How the user knows it.
        tell: Takes a message for the user.
        clock: Seconds, monotonic.
    """

    def __init__(self, name: str, tell: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._name = name
        self._tell = tell
        self._clock = clock
        self._told: dict[str, float] = {}

    def now(self, message: str) -> None:
        """Tell it, in one line whatever a server has put into it."""
        self._tell(f"{self._name}: {' '.join(message.splitlines())}")

    def often(self, topic: str, message: str) -> None:
        """Tell it, unless the same topic was told of a moment ago."""
        now = self._clock()
        if now - self._told.get(topic, -REPORT_EVERY) >= REPORT_EVERY:
            self._told[topic] = now
            self.now(message)

    def over(self, topic: str) -> None:
        """Call a topic done: when it comes up again, it is news."""
        self._told.pop(topic, None)
