"""What is read off the stream for one measure: its groups, its range, its baselines and the values that it knows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from masthead.alerts.baseline import SCALES, Baseline
from masthead.alerts.fields import Fields
from masthead.alerts.quantities import ROWS
from masthead.alerts.windows import SERIES, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from masthead.alerts.baseline import Judged, Moment
    from masthead.alerts.expression.nodes import Matcher, Measure
    from masthead.alerts.quantities import Quantity
    from masthead.alerts.tables import Group, Table
    from masthead.alerts.windows import Labels

# Baselines are some kilobytes each.
BASELINES = 300
_FORGOTTEN_NS = 14 * 86_400_000_000_000
# A quantile or a mean of fewer calls says nothing that could be usual.
_FEWEST = 20.0


class Reading:
    """One measure over one range.

    Args:
        measure: One without a measure inside.
        table: Where its groups are counted.
        quantity: What is taken from them.
        slot_ns: Length of a slot.
        cap: How many series there can be.

    Attributes:
        table: Name of its table.
        window: The sums over its range.
        baselines: What is usual, where a rule asks for it.
        fields: The values that a field has, where a rule asks for them.
    """

    def __init__(self, measure: Measure, table: Table, quantity: Quantity, slot_ns: int, cap: int = SERIES) -> None:
        self.table = table.name
        self.window = Window(measure.seconds, slot_ns, quantity.pick, cap)
        self.baselines: Baselines | None = None
        self.fields: Fields | None = None
        self.quantity = quantity
        self._places = [table.place(key) for key in measure.by]
        self._field_place = table.place(measure.texts[0]) if measure.name in ("new_values", "gone_values") else None
        # The Tally knows nothing of losses: their conditions are all seen to here.
        left = measure.matchers if measure.name == "ledger_lost" else in_python(measure.matchers)
        self._conditions = [_condition(table.place(matcher.key), matcher) for matcher in left]

    def usual(self) -> Baselines:
        """Have baselines learned, and give them."""
        self.baselines = self.baselines or Baselines(self)
        return self.baselines

    def known(self, learn_ns: int) -> Fields:
        """Have the values of its field learned, and give them."""
        self.fields = self.fields or Fields(learn_ns)
        return self.fields

    def add(self, end_ns: int, groups: Iterable[Group]) -> None:
        """Take the groups of a slot, and move on to its end."""
        values: dict[Labels, dict[str, float]] = {}
        for group in groups:
            if all(condition(group) for condition in self._conditions):
                labels = tuple(group.key[place] or "" for place in self._places)
                parts = self.quantity.parts(group)
                if parts:
                    rows = group.weight if group.rows is None else group.rows
                    self.window.add(end_ns, labels, parts if self.quantity.pick else {**parts, ROWS: rows})
                if self._field_place is not None:
                    counted, value = values.setdefault(labels, {}), group.key[self._field_place] or ""
                    counted[value] = counted.get(value, 0.0) + group.weight
        self.window.advance(end_ns)
        if self.fields:
            for labels, counted in values.items():
                self.fields.add(end_ns, labels, counted)
            self.fields.advance(end_ns)

    def values(self) -> dict[Labels, float]:
        """Give the value of each series; counts are 0 for series that had calls within a day."""
        if self.quantity.scale != "count":
            return dict(self._found(self.window.series()))
        found = dict(self._found(self.window.remembered()))
        return found if self._places else {(): found.get((), 0.0)}

    def state(self) -> dict[str, Any]:
        """Give what it holds, for JSON."""
        return {
            "window": self.window.state(),
            "baselines": self.baselines.state() if self.baselines else None,
            "fields": self.fields.state() if self.fields else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take what an earlier one held."""
        self.window.restore(state["window"])
        if self.baselines and state["baselines"]:
            self.baselines.restore(state["baselines"])
        if self.fields and state["fields"]:
            self.fields.restore(state["fields"])

    def measured(self, labels: Labels) -> tuple[float, float] | None:
        """Give the value of a series, and how many rows it rests on; `None` where there is nothing to tell."""
        parts = self.window.parts(labels)
        value = self.quantity.value(parts)
        return None if value is None else (value, parts.get(ROWS, 0.0))

    def _found(self, series: Iterable[Labels]) -> Iterator[tuple[Labels, float]]:
        for labels in series:
            found = self.measured(labels)
            if found:
                yield labels, found[0]


class Baselines:
    """The baselines of a reading, one for each of its series.

    Args:
        reading: Whose values they are of.

    Attributes:
        overflowed: Series that got none because there were too many.
    """

    def __init__(self, reading: Reading) -> None:
        self.overflowed = 0
        self._reading = reading
        self._scale = SCALES[reading.quantity.scale]
        self._held: dict[Labels, Baseline] = {}
        self._seen: dict[Labels, int] = {}

    def learn(self, end_ns: int, moment: Moment) -> None:
        """Learn the values of the range that ends then, around a moment."""
        for labels in self._reading.values() if self._scale.name == "count" else self._reading.window.series():
            if labels not in self._held:
                if len(self._held) >= BASELINES:
                    self.overflowed += 1
                    continue
                self._held[labels] = Baseline(self._scale)
            if self._reading.window.parts(labels):
                self._seen[labels] = end_ns
        for labels in [labels for labels in self._held if end_ns - self._seen.get(labels, end_ns) > _FORGOTTEN_NS]:
            del self._held[labels], self._seen[labels]
        for _, baseline, (value, calls) in self._known():
            baseline.learn(moment, value, calls)

    def judged(self, moment: Moment) -> Iterator[tuple[Labels, float, Judged]]:
        """Give series, value and judgement where enough is known."""
        for labels, baseline, (value, calls) in self._known():
            judged = baseline.judge(moment, value, calls)
            if judged:
                yield labels, value, judged

    @property
    def learning(self) -> int:
        """How many series are not known well enough yet to say anything."""
        return sum(not baseline.knows for baseline in self._held.values())

    def state(self) -> list[Any]:
        """Give what was learned, for JSON."""
        return [[list(labels), self._seen.get(labels), held.state()] for labels, held in self._held.items()]

    def restore(self, state: list[Any]) -> None:
        """Take what was learned earlier."""
        for labels, seen, held in state:
            self._held[tuple(labels)] = baseline = Baseline(self._scale)
            baseline.restore(held)
            if seen is not None:
                self._seen[tuple(labels)] = seen

    def _known(self) -> Iterator[tuple[Labels, Baseline, tuple[float, float]]]:
        for labels, baseline in self._held.items():
            found = self._reading.measured(labels)
            if found and (self._scale.name != "size" or found[1] >= _FEWEST):
                yield labels, baseline, found


def in_table(matchers: Iterable[Matcher]) -> dict[str, tuple[str | None, ...]]:
    """Give the conditions that the Tally sees to: equal to a text, or absent. Calls are the server's unless said so."""
    found: dict[str, tuple[str | None, ...]] = {}
    if not any(matcher.key == "role" for matcher in matchers):
        found["role"] = ("server",)
    for matcher in matchers:
        if matcher.sign == "=":
            value = matcher.value or None
            # Two texts at once are nothing, which the Tally says with an empty list.
            found[matcher.key] = (value,) if found.get(matcher.key, (value,)) == (value,) else ()
    return found


def in_python(matchers: Iterable[Matcher]) -> list[Matcher]:
    """Give the conditions that are left."""
    return [matcher for matcher in matchers if matcher.sign != "="]


def _condition(place: int, matcher: Matcher) -> Callable[[Group], bool]:
    if matcher.sign in ("=", "!="):
        equal = matcher.sign == "="
        return lambda group: ((group.key[place] or "") == matcher.value) == equal
    pattern, wanted = re.compile(matcher.value), matcher.sign == "=~"
    return lambda group: (pattern.fullmatch(group.key[place] or "") is not None) == wanted
