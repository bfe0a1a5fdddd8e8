"""Alerts as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.alerts.states import FIRING, PENDING
from masthead.samples import Reading

if TYPE_CHECKING:
    from masthead.alerts.evaluation import Evaluation
    from masthead.alerts.notify.desk import Desk


def samples(evaluation: Evaluation, desk: Desk, *, late: int, overflowed: int, failed: int) -> list[Reading]:
    """Give `ALERTS`, as Prometheus names it, and the account of the alerts."""
    found = [
        Reading("ALERTS", "Alerts that are pending or firing.", {**alert.labels, "alertstate": alert.state}, 1)
        for _, alert in evaluation.alerts()
        if alert.state in (PENDING, FIRING)
    ]
    said = "Rows that came after the alerts had moved on."
    found.append(Reading("masthead_alerts_late_rows_total", said, {}, late))
    said = "Rows that had no room in a table of the alerts and count as _other."
    found.append(Reading("masthead_alerts_overflowed_rows_total", said, {}, overflowed))
    said = "Rows that could not be counted for the alerts."
    found.append(Reading("masthead_alerts_failed_rows_total", said, {}, failed))
    said = "What had no room in the memory of the alerts."
    for what, count in evaluation.overflows().items():
        found.append(Reading("masthead_alerts_overflowed_total", said, {"what": what}, count))
    found.append(Reading("masthead_alerts_learning", "Series whose usual is not known yet.", {}, evaluation.learning()))
    said = "Notifications by receiver and outcome."
    for (receiver, outcome), count in sorted(desk.counts.items()):
        found.append(
            Reading("masthead_alerts_notifications_total", said, {"receiver": receiver, "outcome": outcome}, count)
        )
    return found
