"""Rules asked slot by slot: told what was counted, gives how alerts changed.

No clock, no I/O: live and back-test are the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any

from masthead.alerts.calendar import Calendar
from masthead.alerts.coverage import Coverage
from masthead.alerts.expression.measures import label
from masthead.alerts.plan import LEDGER, Plan
from masthead.alerts.states import INACTIVE, Alert, Lives
from masthead.alerts.tables import Group
from masthead.alerts.template import fill
from masthead.config.units import age_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from masthead.alerts.plan import Condition
    from masthead.alerts.rules import Ready
    from masthead.alerts.states import Texts, Transition
    from masthead.alerts.tables import Counted
    from masthead.alerts.windows import Labels

SECOND_NS = 1_000_000_000
# Gaps in what was watched are remembered as long as the longest range, and at least so long.
_GAPS_NS = 86_400 * SECOND_NS


@dataclass(frozen=True, slots=True)
class Asked:
    """A rule in force.

    Attributes:
        ready: The rule.
        condition: When it holds.
        labels: The names of its series' labels.
        lives: Its alerts.
        interval_ns: Time between two times that it is asked.
    """

    ready: Ready
    condition: Condition
    labels: tuple[str, ...]
    lives: Lives
    interval_ns: int


class Evaluation:
    """Rules, and what they know.

    Args:
        rules: The rules.
        slot_ns: Length of a slot; every slot ends at a multiple of it.
        zone: By whose clocks hours of the week are told.

    Attributes:
        rules: The rules in force.
        slot_ns: Length of a slot.
        done_ns: The end of the last slot that was taken.
    """

    def __init__(self, rules: Sequence[Ready], slot_ns: int, zone: tzinfo = UTC) -> None:
        self.slot_ns = slot_ns
        self.done_ns = 0
        self._calendar = Calendar(zone)
        self._plan = Plan(slot_ns, self._calendar)
        self.rules = [self._asked(ready) for ready in rules]
        longest = max((reading.window.range_ns for reading in self._plan.readings.values()), default=0)
        self._coverage = Coverage(max(longest, _GAPS_NS))

    def specification(self) -> str:
        """Give what the Tally has to count, as JSON."""
        return json.dumps(self._plan.tables.specification(self.slot_ns))

    def advance(self, end_ns: int, counted: Counted, losses: Mapping[str, float] | None = None) -> list[Transition]:
        """Take a slot.

        Args:
            end_ns: Its end, a multiple of the slot's length, later than the one before. What lies between two slots
                that do not follow each other was not watched.
            counted: The groups of each table.
            losses: What masthead itself lost in it.
        """
        self._coverage.watched(end_ns - self.slot_ns, end_ns)
        lost = [Group((name,), float(count)) for name, count in (losses or {}).items() if count > 0]
        for reading in self._plan.readings.values():
            reading.add(end_ns, lost if reading.table == LEDGER.name else counted.get(reading.table, ()))
        found = list(self._ask(end_ns))
        # What is judged is not learned before.
        for reading in self._plan.readings.values():
            if reading.baselines and self._coverage.known(reading.window.range_ns):
                reading.baselines.learn(end_ns, self._calendar.moment(end_ns - reading.window.range_ns // 2))
        self.done_ns = end_ns
        return found

    def alerts(self) -> Iterator[tuple[str, Alert]]:
        """Give every alert that is pending or firing, or was resolved a short while ago, with its rule's group."""
        for rule in self.rules:
            for alert in rule.lives.held.values():
                yield rule.ready.group, alert

    def overflows(self) -> dict[str, int]:
        """Count what had no room: groups, series without baseline, values of fields."""
        readings = self._plan.readings.values()
        return {
            "series": sum(reading.window.overflowed for reading in readings),
            "baselines": sum(reading.baselines.overflowed for reading in readings if reading.baselines),
            "values": sum(reading.fields.overflowed for reading in readings if reading.fields),
        }

    def learning(self) -> int:
        """Count the series whose baselines do not know enough yet."""
        return sum(reading.baselines.learning for reading in self._plan.readings.values() if reading.baselines)

    def state(self) -> dict[str, Any]:
        """Give the states of alerts, for JSON."""
        lives = {rule.ready.identity: rule.lives.state() for rule in self.rules}
        return {"done": self.done_ns, "rules": {name: state for name, state in lives.items() if state}}

    def restore(self, state: dict[str, Any]) -> None:
        """Take the states of an earlier process; those of rules that are no more are let go."""
        for rule in self.rules:
            rule.lives.restore(state["rules"].get(rule.ready.identity, []))

    def learned(self) -> dict[str, Any]:
        """Give ranges, baselines and known values, for JSON."""
        readings = {key: reading.state() for key, reading in self._plan.readings.items()}
        return {"slot": self.slot_ns, "coverage": self._coverage.state(), "readings": readings}

    def relearn(self, learned: dict[str, Any]) -> None:
        """Take what an earlier process had learned, as far as it is still asked for."""
        if learned["slot"] != self.slot_ns:
            return
        self._coverage.restore(learned["coverage"])
        for key, reading in self._plan.readings.items():
            if key in learned["readings"]:
                reading.restore(learned["readings"][key])

    def _asked(self, ready: Ready) -> Asked:
        condition = self._plan.condition(ready.tree)
        rule = ready.rule
        for_ns, keep_ns = (round((age_seconds(age) or 0) * SECOND_NS) for age in (rule.for_, rule.keep_firing_for))
        interval_ns = round((ready.interval or 0) * SECOND_NS)
        # Rules are asked at ends of slots.
        slots = max(1, -(-interval_ns // self.slot_ns))
        labels = tuple(label(key) for key in condition.keys)
        return Asked(ready, condition, labels, Lives(ready.group, rule.alert, for_ns, keep_ns), slots * self.slot_ns)

    def _ask(self, end_ns: int) -> Iterator[Transition]:
        for rule in self.rules:
            if end_ns % rule.interval_ns:
                continue
            # Time that was not watched says neither yes nor no: what fires goes on firing.
            if all(self._coverage.known(reading.window.range_ns) for reading in rule.condition.readings):
                values = rule.condition.values(end_ns)
                yield from rule.lives.update(end_ns, {key: _told(rule, key, value) for key, value in values.items()})


def firing(evaluation: Evaluation) -> list[Alert]:
    """Give the alerts that are told of: those that fire, and those whose end is not long ago."""
    return [alert for _, alert in evaluation.alerts() if alert.fired_ns is not None]


def resolved(alert: Alert) -> bool:
    """Tell whether an alert is over."""
    return alert.state == INACTIVE


def _told(rule: Asked, series: Labels, value: float) -> tuple[float, Texts, Texts]:
    """Give value, labels and annotations of an alert."""
    own = {name: text for name, text in zip(rule.labels, series, strict=True) if text}
    labels = {**own, "alertname": rule.ready.rule.alert}
    labels |= {name: fill(text, labels, value) for name, text in rule.ready.rule.labels.items()}
    annotations = {name: fill(text, labels, value) for name, text in rule.ready.rule.annotations.items()}
    return value, {name: text for name, text in labels.items() if text}, annotations
