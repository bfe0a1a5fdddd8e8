"""What a running command is asked for by signal; handlers only take note, the loop acts."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

# Once asked to stop, a write that hangs (a pipe that nobody reads) may take this long; then its rows count as failed.
GRACE_SECONDS = 5


class Signals:
    """The requests that have come in.

    Attributes:
        stop: SIGINT or SIGTERM.
        report: SIGUSR1.
        reload: SIGHUP.
    """

    def __init__(self) -> None:
        self.stop = False
        self.report = False
        self.reload = False
        self._settled = False
        self._terminals = _terminals()

    def install(self) -> None:
        """Take the signals over."""
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGUSR1, self._report)
        signal.signal(signal.SIGHUP, self._reload)
        signal.signal(signal.SIGALRM, self._give_up)

    def settled(self) -> None:
        """Call the stop done: what is still to come ends by itself, and asking twice makes it no faster."""
        self._settled = True
        signal.alarm(0)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop = True
        if not self._settled:
            signal.alarm(GRACE_SECONDS)

    def _report(self, _number: int, _frame: FrameType | None) -> None:
        self.report = True

    def _reload(self, _number: int, _frame: FrameType | None) -> None:
        # With its terminal gone (a closed window, a lost ssh) a command in the foreground has nobody to run for.
        if self._terminals and not _terminals():
            self.stop = True
        self.reload = True

    def _give_up(self, _number: int, _frame: FrameType | None) -> None:
        """Break a hanging write: an OSError, so that the outlet counts it like any other failure."""
        if self._settled:
            return
        signal.alarm(GRACE_SECONDS)
        message = "gave up waiting"
        raise TimeoutError(message)


def _terminals() -> set[int]:
    return {descriptor for descriptor in (0, 1, 2) if os.isatty(descriptor)}
