"""The life of an alert, as Prometheus has it.

| is | the condition holds | it does not |
| --- | --- | --- |
| inactive | pending; firing where `for` is 0 | - |
| pending | firing once it held for `for` | inactive |
| firing | firing | inactive (resolved) once it did not hold for `keep_firing_for` |

Each set of labels has a life of its own. While it is not known whether the condition holds, nothing changes: neither
time that was not watched nor a restart makes or ends an alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masthead.alerts.windows import Labels

INACTIVE, PENDING, FIRING = "inactive", "pending", "firing"
# A resolved alert is kept so long that its end can be told (Prometheus' resolvedRetention).
RESOLVED_NS = 15 * 60 * 1_000_000_000

Texts: TypeAlias = Mapping[str, str]


@dataclass(slots=True)
class Alert:
    """One alert of one rule.

    Attributes:
        labels: What tells it from others, `alertname` among them.
        annotations: What it says to people; follows its value.
        state: `pending`, `firing`, or `inactive` for one that is resolved.
        value: What the expression had last.
        active_ns: When the condition began to hold.
        fired_ns: Since when it fires.
        absent_ns: Since when the condition does not hold, while `keep_firing_for` goes on.
        resolved_ns: When it was resolved.
    """

    labels: Texts
    annotations: Texts
    state: str
    value: float
    active_ns: int
    fired_ns: int | None = None
    absent_ns: int | None = None
    resolved_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state.

    Attributes:
        at_ns: When, the end of a slot.
        group: The rule's group.
        alert: The rule's name.
        labels: The alert's labels.
        before: The state it had.
        after: The state it has; `inactive` after `firing` is called resolved.
        value: What the expression had.
    """

    at_ns: int
    group: str
    alert: str
    labels: Texts
    before: str
    after: str
    value: float


@dataclass(slots=True)
class Lives:
    """The alerts of one rule.

    Attributes:
        group: The rule's group.
        alert: Its name.
        for_ns: How long the condition holds before an alert fires.
        keep_ns: How long it fires on after that.
        held: The alerts by the labels of their series.
    """

    group: str
    alert: str
    for_ns: int = 0
    keep_ns: int = 0
    held: dict[Labels, Alert] = field(default_factory=dict)

    def update(self, now_ns: int, found: Mapping[Labels, tuple[float, Texts, Texts]]) -> Iterator[Transition]:
        """Move every alert on.

        Args:
            now_ns: The time.
            found: For each series for which the condition holds: value, labels, annotations.
        """
        for series, (value, labels, texts) in found.items():
            alert = self.held.get(series)
            if alert is None or alert.state == INACTIVE:
                alert = self.held[series] = Alert(labels, texts, INACTIVE, value, now_ns)
                yield self._change(alert, now_ns, PENDING)
            alert.value, alert.annotations, alert.absent_ns = value, texts, None
            if alert.state == PENDING and now_ns - alert.active_ns >= self.for_ns:
                alert.fired_ns = now_ns
                yield self._change(alert, now_ns, FIRING)
        for series in [series for series in self.held if series not in found]:
            yield from self._without(series, now_ns)

    def _without(self, series: Labels, now_ns: int) -> Iterator[Transition]:
        alert = self.held[series]
        if alert.state == INACTIVE:
            if now_ns - (alert.resolved_ns or 0) >= RESOLVED_NS:
                del self.held[series]
        elif alert.state == PENDING:
            del self.held[series]
            yield self._change(alert, now_ns, INACTIVE)
        else:
            alert.absent_ns = alert.absent_ns or now_ns
            if now_ns - alert.absent_ns >= self.keep_ns:
                alert.resolved_ns = now_ns
                yield self._change(alert, now_ns, INACTIVE)

    def state(self) -> list[Any]:
        """Give the alerts for JSON."""
        return [[list(series), asdict(alert)] for series, alert in self.held.items()]

    def restore(self, state: list[Any]) -> None:
        """Take the alerts of an earlier process."""
        self.held = {tuple(series): Alert(**alert) for series, alert in state}

    def _change(self, alert: Alert, now_ns: int, after: str) -> Transition:
        before, alert.state = alert.state, after
        return Transition(now_ns, self.group, self.alert, alert.labels, before, after, alert.value)
