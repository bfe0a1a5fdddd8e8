"""Alerts as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from masthead.alerts.states import FIRING, PENDING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from masthead.alerts.evaluation import Evaluation
    from masthead.alerts.notify.desk import Desk


class Sample(NamedTuple):
    """One sample of a metric; counters' names end in `_total`."""

    name: str
    help: str
    labels: Mapping[str, str]
    value: float


def samples(evaluation: Evaluation, desk: Desk, *, late: int, overflowed: int, failed: int) -> list[Sample]:
    """Give `ALERTS`, as Prometheus names it, and the account of the alerts."""
    found = [
        Sample("ALERTS", "Alerts that are pending or firing.", {**alert.labels, "alertstate": alert.state}, 1)
        for _, alert in evaluation.alerts()
        if alert.state in (PENDING, FIRING)
    ]
    said = "Rows that came after the alerts had moved on."
    found.append(Sample("masthead_alerts_late_rows_total", said, {}, late))
    said = "Rows that had no room in a table of the alerts and count as _other."
    found.append(Sample("masthead_alerts_overflowed_rows_total", said, {}, overflowed))
    said = "Rows that could not be counted for the alerts."
    found.append(Sample("masthead_alerts_failed_rows_total", said, {}, failed))
    said = "What had no room in the memory of the alerts."
    for what, count in evaluation.overflows().items():
        found.append(Sample("masthead_alerts_overflowed_total", said, {"what": what}, count))
    found.append(Sample("masthead_alerts_learning", "Series whose usual is not known yet.", {}, evaluation.learning()))
    said = "Notifications by receiver and outcome."
    for (receiver, outcome), count in sorted(desk.counts.items()):
        found.append(
            Sample("masthead_alerts_notifications_total", said, {"receiver": receiver, "outcome": outcome}, count)
        )
    return found
