"""Slack's incoming webhooks, and those who take the same: Mattermost, Rocket.Chat, Discord behind `/slack`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.alerts.notify.http import Poster
from masthead.alerts.notify.notice import FIRING

if TYPE_CHECKING:
    from masthead.alerts.notify.notice import Notice
    from masthead.config.alerts import HttpReceiver

# Slack cuts what is longer.
_LONGEST = 3_000


class Slack:
    """Posts notices as messages."""

    def __init__(self, settings: HttpReceiver) -> None:
        self._poster = Poster(settings)

    def deliver(self, notice: Notice) -> None:
        """Post it."""
        title, text = _escaped(notice.title), _escaped(notice.text)[:_LONGEST]
        colour = "danger" if notice.status == FIRING else "good"
        attachment = {"color": colour, "title": title, "text": text, "fallback": title}
        if notice.url:
            attachment["title_link"] = notice.url
        self._poster.post({"text": title, "attachments": [attachment]})


def _escaped(text: str) -> str:
    """Escape what would be markup: values of headers come from anybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
