"""A webhook: the notice as Alertmanager's webhook sends it (version 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.alerts.notify.http import Poster

if TYPE_CHECKING:
    from masthead.alerts.notify.notice import Notice
    from masthead.config.alerts import HttpReceiver


class Webhook:
    """Posts notices to a URL."""

    def __init__(self, settings: HttpReceiver) -> None:
        self._poster = Poster(settings)

    def deliver(self, notice: Notice) -> None:
        """Post it."""
        self._poster.post(notice.payload())
