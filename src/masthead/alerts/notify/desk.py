"""Decides when whom to tell: alerts grouped, waited for, told once, repeated now and then, and not while silenced.

The words and the rules are Alertmanager's: a new group waits for `group_wait`; one that was told is looked at again
every `group_interval`, and told again when an alert is new or resolved, or when `repeat_interval` is over.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from masthead.alerts.evaluation import firing
from masthead.alerts.notify.notice import FIRING, RESOLVED, Notice, Told
from masthead.alerts.notify.silences import Silences, matches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from masthead.alerts.evaluation import Evaluation
    from masthead.alerts.states import Texts

_NEVER_NS = 1 << 62


@dataclass(frozen=True, slots=True)
class Timing:
    """How alerts are grouped and how often they are told.

    Attributes:
        by: Labels that make a group; `None`: all alerts are one.
        wait_ns: How long a new group waits for more.
        interval_ns: How often a group that was told is looked at.
        repeat_ns: How often what has not changed is told again.
        eager: Whether changes are told at once (for one that groups by itself).
    """

    by: tuple[str, ...] | None
    wait_ns: int
    interval_ns: int
    repeat_ns: int
    eager: bool = False


@dataclass(frozen=True, slots=True)
class Addressee:
    """A receiver as the desk sees it.

    Attributes:
        name: Its name.
        match: Matchers that an alert has to meet.
        send_resolved: Whether it is told of ends.
        timing: When it is told.
    """

    name: str
    match: tuple[str, ...]
    send_resolved: bool
    timing: Timing


Done: TypeAlias = Callable[[str], None]


class Post(Protocol):
    """Delivers."""

    def send(self, notice: Notice, done: Done) -> None:
        """Deliver a notice, now or later; `done` is called once with `sent` or `failed`."""

    def close(self) -> None:
        """Give up what is not delivered."""


@dataclass(slots=True)
class _Group:
    addressee: Addressee
    labels: Texts
    due_ns: int
    # Fingerprint to status, as it was told last, and when.
    told: dict[str, str] = field(default_factory=dict)
    told_ns: int = -1
    busy: bool = False
    alerts: dict[str, Told] = field(default_factory=dict)


class Desk:
    """Tells receivers.

    Args:
        addressees: Who there is.
        post: Who delivers.
        silences: What is not told.
        external_labels: Labels that every alert gets, such as the host's name.
        url: Where people can look.

    Attributes:
        counts: Notices by receiver and outcome (`sent`, `failed`).
    """

    def __init__(
        self,
        addressees: Sequence[Addressee],
        post: Post,
        silences: Silences,
        external_labels: Mapping[str, str] | None = None,
        url: str = "",
    ) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._addressees = {one.name: one for one in addressees}
        self._post = post
        self._silences = silences
        self._external = dict(external_labels or {})
        self._url = url
        self._groups: dict[str, _Group] = {}
        self._lock = threading.RLock()
        self._changed = False

    def take(self, evaluation: Evaluation, now_ns: int) -> None:
        """Take the alerts as they are now."""
        alerts = [
            Told(
                {**self._external, **alert.labels},
                alert.annotations,
                alert.value,
                alert.fired_ns or 0,
                alert.resolved_ns,
            )
            for alert in firing(evaluation)
        ]
        with self._lock:
            for group in self._groups.values():
                group.alerts = {}
            for addressee in self._addressees.values():
                for alert in alerts:
                    if matches(addressee.match, alert.labels):
                        self._put(addressee, alert, now_ns)

    def tick(self, now_ns: int) -> bool:
        """Send what is due; tells whether something was told since the last time."""
        with self._lock:
            for key, group in list(self._groups.items()):
                if not group.busy and (group.due_ns <= now_ns or group.addressee.timing.eager):
                    self._flush(key, group, now_ns)
            changed, self._changed = self._changed, False
        return changed

    def due_ns(self) -> int:
        """Give the time when something is due next."""
        with self._lock:
            return min((group.due_ns for group in self._groups.values() if not group.busy), default=_NEVER_NS)

    def state(self) -> list[Any]:
        """Give who was told what, for JSON."""
        with self._lock:
            groups = [group for group in self._groups.values() if group.told]
            return [[group.addressee.name, dict(group.labels), group.told, group.told_ns] for group in groups]

    def restore(self, state: list[Any]) -> None:
        """Take who was told what by an earlier process."""
        for name, labels, told, told_ns in state:
            if name in self._addressees:
                group = _Group(self._addressees[name], labels, told_ns, told, told_ns)
                self._groups[_key(name, labels)] = group

    def close(self) -> None:
        """Let go of the post."""
        self._post.close()

    def _put(self, addressee: Addressee, alert: Told, now_ns: int) -> None:
        by = addressee.timing.by
        labels = {name: alert.labels[name] for name in by or () if name in alert.labels}
        key = _key(addressee.name, labels)
        group = self._groups.get(key)
        if group is None:
            # The end of an alert that nobody was told of begins no group.
            if alert.status == RESOLVED:
                return
            group = self._groups[key] = _Group(addressee, labels, now_ns + addressee.timing.wait_ns)
        group.alerts[alert.fingerprint] = alert

    def _flush(self, key: str, group: _Group, now_ns: int) -> None:
        heard = {
            name: alert
            for name, alert in group.alerts.items()
            if not self._silences.cover(alert.labels, now_ns)
            and (alert.status == FIRING or group.told.get(name) is not None)
        }
        # An end is told once.
        ends = group.addressee.send_resolved
        chosen = [
            alert
            for name, alert in heard.items()
            if alert.status == FIRING or (ends and group.told.get(name) == FIRING)
        ]
        wanted = self._news(group, heard, now_ns)
        if chosen and wanted:
            group.busy = True
            statuses = {name: alert.status for name, alert in heard.items()}
            notice = Notice(group.addressee.name, group.labels, tuple(chosen), now_ns, self._url)
            self._post.send(notice, lambda outcome: self._done(group, statuses, now_ns, outcome))
        elif wanted:
            # Ends that this receiver does not want to hear of are settled all the same.
            group.told, self._changed = {}, True
        if group.due_ns <= now_ns:
            group.due_ns = now_ns + group.addressee.timing.interval_ns
        if (
            not group.busy
            and not any(alert.status == FIRING for alert in group.alerts.values())
            and not self._open(group)
        ):
            del self._groups[key]
            self._changed = True

    def _news(self, group: _Group, heard: Mapping[str, Told], now_ns: int) -> bool:
        """Tell whether there is something that was not told, or told too long ago."""
        if any(group.told.get(name) != alert.status for name, alert in heard.items()):
            return True
        still = any(alert.status == FIRING for alert in heard.values())
        return still and now_ns - group.told_ns >= group.addressee.timing.repeat_ns

    def _open(self, group: _Group) -> bool:
        """Tell whether an end is still to be told: told as firing, and known as resolved."""
        return any(group.told.get(name) == FIRING for name in group.alerts)

    def _done(self, group: _Group, statuses: dict[str, str], now_ns: int, outcome: str) -> None:
        with self._lock:
            group.busy = False
            self.counts[group.addressee.name, outcome] += 1
            self._changed = True
            if outcome == "sent":
                group.told, group.told_ns = statuses, now_ns


def _key(receiver: str, labels: Texts) -> str:
    return json.dumps([receiver, sorted(labels.items())])
