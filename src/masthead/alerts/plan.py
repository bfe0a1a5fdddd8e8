"""From trees to what is read off the stream and to functions that give the values: equal measures are read once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from masthead.alerts.expression.nodes import COMPARISONS, Binary, Measure, Number
from masthead.alerts.expression.sides import keys
from masthead.alerts.quantities import needed_keys, quantity
from masthead.alerts.readings import Reading, in_python, in_table
from masthead.alerts.tables import Table, Tables
from masthead.alerts.vectors import apply
from masthead.alerts.windows import SERIES

if TYPE_CHECKING:
    from masthead.alerts.baseline import Judged
    from masthead.alerts.calendar import Calendar
    from masthead.alerts.expression.nodes import Node
    from masthead.alerts.fields import Fields
    from masthead.alerts.vectors import Keys, Vector

# The table of what masthead itself lost: it comes from the account, not from the calls.
LEDGER = Table("ledger", {}, ("loss",))
# How many spreads from the expectation are no chance any more, and how far a change goes that somebody would call one.
SPREADS = 6.0
SPIKE, DROP = 1.5, 0.6
# A share that rises by less than two points is no spike, however steady it was.
_POINTS = 0.02
# What shares and counts are divided by at least.
_LEAST = {"share": 0.001, "count": 1.0, "size": 0.0}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
# How long a field's values are learned.
_LEARN = 86_400.0

Values: TypeAlias = Callable[[int], "Vector"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition, ready to be asked.

    Attributes:
        keys: The keys of its series.
        values: Gives the series for which it holds at the end of a slot, with their values.
        readings: What it rests on.
    """

    keys: Keys
    values: Values
    readings: tuple[Reading, ...]


class Plan:
    """What a set of rules reads off the stream.

    Args:
        slot_ns: Length of a slot.
        calendar: Where usual hours are told by.
        cap: How many series a measure can have.

    Attributes:
        tables: What is counted.
        readings: Every reading by what it is.
    """

    def __init__(self, slot_ns: int, calendar: Calendar, cap: int = SERIES) -> None:
        self.tables = Tables()
        self.readings: dict[str, Reading] = {}
        self._slot_ns = slot_ns
        self._calendar = calendar
        self._cap = cap

    def condition(self, tree: Node) -> Condition:
        """Make a condition of a tree."""
        readings: list[Reading] = []
        values = self._values(tree, readings, ())
        return Condition(keys(tree), values, tuple(readings))

    def _values(self, tree: Node, readings: list[Reading], exact: tuple[float, ...]) -> Values:
        if isinstance(tree, Number):
            number: Vector = {(): tree.value}
            return lambda _: number
        if isinstance(tree, Measure):
            return self._measured(tree, readings, exact)
        if isinstance(tree.left, Number) and tree.sign in COMPARISONS:
            # What is let through is what was measured, on whichever side it stands.
            tree = Binary(_FLIPPED.get(tree.sign, tree.sign), tree.right, tree.left, tree.at)
        left = self._values(tree.left, readings, _compared(tree, tree.right))
        right = self._values(tree.right, readings, _compared(tree, tree.left))
        sign, left_keys, right_keys = tree.sign, keys(tree.left), keys(tree.right)
        return lambda end_ns: apply(sign, left(end_ns), right(end_ns), left_keys, right_keys)

    def _measured(self, measure: Measure, readings: list[Reading], exact: tuple[float, ...]) -> Values:
        name, inner = measure.name, measure.inner
        if name in ("new_values", "gone_values"):
            measure = replace(measure, by=keys(measure)[:-1])
        read = replace(inner, matchers=measure.matchers, seconds=measure.seconds, by=measure.by) if inner else measure
        reading = self._reading(read, exact)
        readings.append(reading)
        if name == "absent":
            return lambda _: {labels: 1.0 for labels, value in reading.values().items() if not value}
        if inner:
            return self._judged(name, reading)
        if name in ("new_values", "gone_values"):
            fields = reading.known(round(measure.numbers.get("learn", _LEARN) * 1e9))
            return _new(reading, fields) if name == "new_values" else _gone(reading, fields)
        return lambda _: reading.values()

    def _reading(self, measure: Measure, exact: tuple[float, ...]) -> Reading:
        key = repr((replace(measure, at=0), exact))
        if key not in self.readings:
            if measure.name == "ledger_lost":
                table = LEDGER
            else:
                left = (matcher.key for matcher in in_python(measure.matchers))
                table = self.tables.table(in_table(measure.matchers), (*measure.by, *left, *needed_keys(measure)))
            counted = quantity(measure, table, exact)
            self.readings[key] = Reading(measure, table, counted, self._slot_ns, self._cap)
        return self.readings[key]

    def _judged(self, name: str, reading: Reading) -> Values:
        baselines = reading.usual()
        judge, least = _JUDGES[name], _LEAST[reading.quantity.scale]
        points = _POINTS if reading.quantity.scale == "share" else 0.0

        def values(end_ns: int) -> Vector:
            moment = self._calendar.moment(end_ns - reading.window.range_ns // 2)
            found = {labels: judge(value, judged, least, points) for labels, value, judged in baselines.judged(moment)}
            return {labels: value for labels, value in found.items() if value is not None}

        return values


def _spike(value: float, judged: Judged, least: float, points: float) -> float | None:
    times = value / max(judged.bound, least)
    far = judged.score > SPREADS and times >= SPIKE and value - judged.bound >= points
    return times if far else None


def _drop(value: float, judged: Judged, least: float, points: float) -> float | None:
    share = value / max(judged.bound, least)
    far = judged.score < -SPREADS and share <= DROP and judged.bound - value >= points
    return share if far else None


_JUDGES: dict[str, Callable[[float, Judged, float, float], float | None]] = {
    "spike": _spike,
    "drop": _drop,
    "deviation": lambda _value, judged, _least, _points: judged.score,
    "expected": lambda _value, judged, _least, _points: judged.expected,
}


def _compared(tree: Binary, other: Node) -> tuple[float, ...]:
    """Give the number that a quantile is compared with: a bound of its histogram, so that the answer is exact."""
    return (other.value,) if tree.sign in COMPARISONS and isinstance(other, Number) and other.value > 0 else ()


def _new(reading: Reading, fields: Fields) -> Values:
    return lambda end_ns: {(*labels, value): 1.0 for labels, value in fields.new(end_ns, reading.window.range_ns)}


def _gone(reading: Reading, fields: Fields) -> Values:
    def values(end_ns: int) -> Vector:
        found = fields.gone(end_ns, reading.window.range_ns, reading.values())
        return {(*labels, value): calls for labels, value, calls in found}

    return values
