"""Delivers notices, with retries, back-off and jitter; a thread for each receiver, so that none waits for another."""

from __future__ import annotations

import queue
import random
import threading
import time
from typing import TYPE_CHECKING, Protocol

from masthead.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masthead.alerts.notify.desk import Done
    from masthead.alerts.notify.notice import Notice

ATTEMPTS = 5
# Seconds before the second attempt; doubled before each further one, and each between half and all of it.
FIRST_PAUSE = 1.0
# Seconds that deliveries under way are waited for at the end, all together.
_FAREWELL = 1.0
# Groups that wait for one receiver; what finds no room fails, and is tried again with its group's next turn.
_WAITING = 1_000


class Receiver(Protocol):
    """Someone who can be told."""

    def deliver(self, notice: Notice) -> None:
        """Deliver.

        Raises:
            OutputError: It could not be delivered; the message says why.
            RefusedError: Nor will it be when tried again.
        """


class RefusedError(OutputError):
    """The receiver will not have it, now or later: a wrong address, a wrong token."""


class Couriers:
    """Delivers in the background.

    Args:
        receivers: Receivers by name.
        tell: Takes a message for the user.
        draw: Gives a number between 0 and 1.
    """

    def __init__(
        self, receivers: Mapping[str, Receiver], tell: Callable[[str], None], draw: Callable[[], float] = random.random
    ) -> None:
        self._tell = tell
        self._draw = draw
        self._stop = threading.Event()
        self._bags: dict[str, queue.Queue[tuple[Notice, Done] | None]] = {
            name: queue.Queue(_WAITING) for name in receivers
        }
        self._threads = [
            threading.Thread(target=self._run, args=(name, one), name=f"masthead-notify-{name}", daemon=True)
            for name, one in receivers.items()
        ]
        for thread in self._threads:
            thread.start()

    def send(self, notice: Notice, done: Done) -> None:
        """Deliver a notice soon."""
        try:
            self._bags[notice.receiver].put_nowait((notice, done))
        except queue.Full:
            done("failed")

    def close(self) -> None:
        """Give up what is not delivered: its alerts are told of after the next start."""
        self._stop.set()
        for bag in self._bags.values():
            try:
                bag.put_nowait(None)
            except queue.Full:
                continue
        deadline = time.monotonic() + _FAREWELL
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    def _run(self, name: str, receiver: Receiver) -> None:
        while not self._stop.is_set():
            found = self._bags[name].get()
            if found is None:
                return
            notice, done = found
            done("sent" if self._try(name, receiver, notice) else "failed")

    def _try(self, name: str, receiver: Receiver, notice: Notice) -> bool:
        for attempt in range(ATTEMPTS):
            try:
                receiver.deliver(notice)
            except RefusedError as error:
                self._tell(f'alerts: receiver "{name}" refuses: {error}')
                return False
            except OutputError as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001 - a thread that ends would end all notices, in silence
                reason = f"a defect: {type(error).__name__}: {error}"
            else:
                return True
            if self._stop.wait(FIRST_PAUSE * 2**attempt * (0.5 + self._draw() / 2)):
                return False
        self._tell(f'alerts: receiver "{name}" was not reached in {ATTEMPTS} attempts: {reason}; tried again later')
        return False
