"""The loop of `masthead run`: move batches, answer signals, keep the account in the open."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from masthead.commands.sending import accounts
from masthead.errors import MastheadError
from masthead.ledger import nest

if TYPE_CHECKING:
    from collections.abc import Callable

    from masthead.commands.signals import Signals
    from masthead.ledger import Ledger
    from masthead.pipeline import Pipeline
    from masthead.sinks.followers import Followers

WAIT_MS = 200
LOSS_EVERY = 60.0
HINT_AFTER = 10.0


class Service:
    """Runs a pipeline until it is asked to stop.

    Args:
        pipeline: Source and sinks.
        signals: What is asked for from outside.
        reload: Puts new settings in force; gives what to tell the user, or raises without having changed anything.
        tell: Takes a message for the user.
        followers: Those who watch, if they can.
        hint: What to say when no call has come for a while.
        trouble: Gives what can't be seen, if anything; what was there at the start has been told.
        clock: Seconds, monotonic.
    """

    def __init__(  # noqa: PLR0913 - each is a seam of its own, given by name
        self,
        pipeline: Pipeline,
        signals: Signals,
        *,
        reload: Callable[[], str],
        tell: Callable[[str], None],
        followers: Followers | None = None,
        hint: str = "",
        trouble: Callable[[], str | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pipeline = pipeline
        self._signals = signals
        self._reload = reload
        self._tell = tell
        self._followers = followers
        self._hint = hint
        self._trouble = trouble
        self._told = trouble()
        self._clock = clock
        self._began = self._checked_at = clock()
        self._checked = pipeline.ledger()

    def run(self) -> None:
        """Move batches until stopped, then what is left, then tell the account."""
        while not self._signals.stop and not self._pipeline.source.closed:
            self._pipeline.step(WAIT_MS)
            self._housekeeping()
        self._pipeline.drain()
        self._note_losses()
        self._tell(self._ledger().text())

    def _housekeeping(self) -> None:
        if self._followers:
            self._followers.tick()
        if self._signals.report:
            self._signals.report = False
            self._tell("\n".join([self._ledger().text(), *accounts(self._pipeline.sinks)]))
        if self._signals.reload:
            self._signals.reload = False
            self._try_reload()
        if self._clock() - self._checked_at >= LOSS_EVERY:
            self._note_losses()
            self._tell_trouble()
        if self._hint and self._clock() - self._began >= HINT_AFTER:
            if not self._pipeline.rows:
                self._tell(self._hint)
            self._hint = ""

    def _ledger(self) -> Ledger:
        ledger = self._pipeline.ledger()
        return ledger.with_note("missed_by_followers", self._followers.missed) if self._followers else ledger

    def _try_reload(self) -> None:
        try:
            self._tell(self._reload())
        except MastheadError as error:
            self._tell(f"the settings stay as they were: {error}")

    def _tell_trouble(self) -> None:
        """Tell what the source can't see any more, when it changes."""
        trouble = self._trouble()
        if trouble and trouble != self._told:
            self._tell(trouble)
        self._told = trouble

    def _note_losses(self) -> None:
        """Write a line into the log itself when something is missing from it."""
        ledger, now = self._pipeline.ledger(), self._clock()
        if ledger.lost_since(self._checked):
            event = {
                "event": "loss",
                "seconds": round(now - self._checked_at, 3),
                **nest(ledger.since(self._checked)),
            }
            for sink in self._pipeline.sinks:
                sink.note({"time": _now(), "masthead": event})
        self._checked, self._checked_at = ledger, now


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
