"""Waiting for a condition with a deadline; the one place of the tests that lets time pass."""

from __future__ import annotations

import os
import threading
import time
from typing import IO, TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

DEADLINE = float(os.environ.get("MASTHEAD_TEST_DEADLINE", "20"))
"""Seconds after which a condition counts as never met; generous, because machines have slow spells."""

_PAUSE = 0.01
_GATHER = 0.05


def wait_for(condition: Callable[[], T | None], what: str, deadline: float = DEADLINE) -> T:
    """Return the condition's first true value; fail with `what` when there was none in time."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            message = f"not within {deadline} s: {what}"
            raise AssertionError(message)
        time.sleep(_PAUSE)


class Lines:
    """The lines that a stream has given so far, read by a thread so that no pipe ever fills."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lines: list[bytes] = []
        self._ended = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._stream:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def so_far(self) -> list[bytes]:
        """Return the lines that have come."""
        with self._news:
            return list(self._lines)

    def text(self) -> str:
        """Return everything that has come, for a person to read."""
        return b"".join(self.so_far()).decode(errors="replace")

    def wait(self, found: Callable[[list[bytes]], T | None], what: str, deadline: float = DEADLINE) -> T:
        """Return `found`'s first true value over the lines; fail when the stream ends or the time is over first."""
        end = time.monotonic() + deadline
        with self._news:
            while True:
                value = found(self._lines)
                if value:
                    return value
                left = end - time.monotonic()
                if self._ended or left <= 0:
                    why = "the stream ended" if self._ended else f"not within {deadline} s"
                    message = f"{why}: {what}; got:\n{b''.join(self._lines[-60:]).decode(errors='replace')}"
                    raise AssertionError(message)
                self._news.wait(left)
                # Lines come by thousands, and `found` reads all of them each time.
                self._news.wait_for(lambda: self._ended, min(left, _GATHER))

    def finish(self, deadline: float = DEADLINE) -> list[bytes]:
        """Return all lines after the stream's end."""
        self._thread.join(deadline)
        assert not self._thread.is_alive(), "the stream did not end"
        self._stream.close()
        return self._lines
