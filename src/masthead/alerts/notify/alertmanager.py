"""Prometheus' Alertmanager, API v2: it groups, silences and repeats by itself, so it is told all of it each minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.alerts.notify.http import Poster
from masthead.alerts.notify.notice import rfc3339

if TYPE_CHECKING:
    from masthead.alerts.notify.notice import Notice
    from masthead.config.alerts import HttpReceiver

RESEND_NS = 60_000_000_000
# An alert ends by itself where nothing is heard of it for so many times (as Prometheus does it).
_MISSED = 4


class Alertmanager:
    """Posts alerts to `/api/v2/alerts` below its URL."""

    def __init__(self, settings: HttpReceiver) -> None:
        self._poster = Poster(settings)

    def deliver(self, notice: Notice) -> None:
        """Post every alert with its begin and end."""
        alerts = []
        for alert in notice.alerts:
            end_ns = notice.at_ns + _MISSED * RESEND_NS if alert.end_ns is None else alert.end_ns
            told = {
                "labels": dict(alert.labels),
                "annotations": dict(alert.annotations),
                "startsAt": rfc3339(alert.begin_ns),
                "endsAt": rfc3339(end_ns),
            }
            alerts.append({**told, "generatorURL": notice.url} if notice.url else told)
        self._poster.post(alerts, "/api/v2/alerts")
