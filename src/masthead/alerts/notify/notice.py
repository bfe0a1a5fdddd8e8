"""What a receiver is told: alerts that belong together, firing or resolved."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from masthead.alerts.states import Texts

FIRING, RESOLVED = "firing", "resolved"
# The end of an alert that goes on, as Go's zero time says it.
_NO_TIME = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Told:
    """One alert.

    Attributes:
        labels: Its labels, external ones among them.
        annotations: What it says to people.
        value: What the expression had last.
        begin_ns: Since when it fires.
        end_ns: When it was resolved; `None` while it fires.
    """

    labels: Texts
    annotations: Texts
    value: float
    begin_ns: int
    end_ns: int | None = None

    @property
    def status(self) -> str:
        """Give `firing` or `resolved`."""
        return FIRING if self.end_ns is None else RESOLVED

    @property
    def fingerprint(self) -> str:
        """Give what tells its labels from others: 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(sorted(self.labels.items())).encode()).hexdigest()[:16]

    @property
    def title(self) -> str:
        """Give one line for people."""
        summary = self.annotations.get("summary")
        rest = ", ".join(f"{name}={value}" for name, value in sorted(self.labels.items()) if name != "alertname")
        return summary or f"{self.labels.get('alertname', 'alert')} {rest}".rstrip()


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification.

    Attributes:
        receiver: Whom it is for.
        group: The labels that its alerts have in common because they were grouped by them.
        alerts: The alerts.
        at_ns: When it was made.
        url: Where people can look; may be empty.
    """

    receiver: str
    group: Texts
    alerts: tuple[Told, ...]
    at_ns: int
    url: str = ""

    @property
    def firing(self) -> tuple[Told, ...]:
        """Give the alerts that fire."""
        return tuple(alert for alert in self.alerts if alert.status == FIRING)

    @property
    def status(self) -> str:
        """Give `resolved` when none of them fires any more."""
        return FIRING if self.firing else RESOLVED

    @property
    def title(self) -> str:
        """Give one line for people, as Alertmanager has it: `[FIRING:2] HighErrorRate`."""
        count = f":{len(self.firing)}" if self.firing else ""
        names = sorted({alert.labels.get("alertname", "alert") for alert in self.alerts})
        return f"[{self.status.upper()}{count}] {', '.join(names)}"

    @property
    def text(self) -> str:
        """Give the alerts for people, some lines each."""
        parts = []
        for alert in self.alerts:
            lines = [f"{alert.status}: {alert.title}"]
            lines += [f"  {name}: {text}" for name, text in alert.annotations.items() if name != "summary"]
            lines += [f"  {name} = {value}" for name, value in sorted(alert.labels.items())]
            lines.append(f"  since {rfc3339(alert.begin_ns)}, value {alert.value:.6g}")
            parts.append("\n".join(lines))
        return "\n\n".join([*parts, self.url] if self.url else parts)

    def payload(self) -> dict[str, Any]:
        """Give it as Alertmanager's webhook sends it, version 4; `masthead` holds what that has no place for."""
        return {
            "version": "4",
            "groupKey": json.dumps([self.receiver, sorted(self.group.items())]),
            "truncatedAlerts": 0,
            "status": self.status,
            "receiver": self.receiver,
            "groupLabels": dict(self.group),
            "commonLabels": _common([alert.labels for alert in self.alerts]),
            "commonAnnotations": _common([alert.annotations for alert in self.alerts]),
            "externalURL": self.url,
            "alerts": [
                {
                    "status": alert.status,
                    "labels": dict(alert.labels),
                    "annotations": dict(alert.annotations),
                    "startsAt": rfc3339(alert.begin_ns),
                    "endsAt": _NO_TIME if alert.end_ns is None else rfc3339(alert.end_ns),
                    "generatorURL": self.url,
                    "fingerprint": alert.fingerprint,
                    "value": alert.value,
                }
                for alert in self.alerts
            ],
        }


def rfc3339(time_ns: int) -> str:
    """Give a time as text, to the millisecond."""
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % 1_000_000_000 // 1_000_000:03}Z"


def _common(texts: list[Texts]) -> dict[str, str]:
    first, *others = texts
    return {name: text for name, text in first.items() if all(other.get(name) == text for other in others)}
