"""From counted groups to values: what each measure adds up over a range, and what comes out of it.

Everything that is measured but the smallest, the largest and the last is a sum of parts, so that a range can move on by
adding a slot and taking one away. A part is a number under an index: 0 for calls, a bucket for a histogram, -1 for the
rows that were seen: where calls are sampled, chance is a matter of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from masthead.alerts.expression.measures import COLUMNS, STATUS
from masthead.alerts.tables import OTHER

if TYPE_CHECKING:
    from masthead.alerts.expression.nodes import Measure
    from masthead.alerts.tables import Group, Table

Parts: TypeAlias = Mapping[int, float]

# Bounds of histograms grow by a fifth: a quantile is wrong by less than that, within a bucket by interpolation.
_GROWTH = 2**0.25
_FIRST_NS, _STEPS = 100_000, 84
_FIRST_BYTES = 64
TOTAL, BAD, ROWS = 0, 1, -1


@dataclass(frozen=True, slots=True)
class Quantity:
    """A measure over one table.

    Attributes:
        parts: What a group adds.
        value: What the sum of the parts says, or `None` where it says nothing.
        scale: `count` (adds up, 0 without calls), `share` or `size`: how it scatters.
        pick: For what does not add up: how two values become one.
    """

    parts: Callable[[Group], Parts]
    value: Callable[[Parts], float | None]
    scale: str
    pick: Callable[[float, float], float] | None = None


def needed_keys(measure: Measure) -> tuple[str, ...]:
    """Give the keys that the table of a measure needs besides those of `by` and of the conditions."""
    if measure.name == "error_ratio" or (measure.name == "burn_rate" and not measure.numbers.get("slow")):
        return ("error_type",)
    if measure.name == "status_ratio":
        return (_status_key(measure),)
    if measure.name in ("missing", "present"):
        return (f"{measure.texts[0]}?",)
    return measure.texts[:1] if measure.name in ("new_values", "gone_values") else ()


def quantity(measure: Measure, table: Table, exact: tuple[float, ...] = ()) -> Quantity:
    """Give how a measure is taken from a table; has the table measure what it needs.

    Args:
        measure: One without a measure inside.
        table: With the keys of `needed_keys`.
        exact: Values that the measure is compared with: bounds of its histogram.
    """
    name = measure.name
    if name in ("error_ratio", "status_ratio", "burn_rate", "slow_ratio", "missing", "present"):
        return _ratio(measure, table)
    if name == "quantile":
        return _quantile(measure, table, exact)
    if name in ("average", "sum"):
        return _sum(measure, table)
    if name in ("min", "max", "last"):
        return _extreme(measure, table)
    return Quantity(lambda group: {TOTAL: group.weight}, lambda parts: parts.get(TOTAL, 0.0), "count")


def _ratio(measure: Measure, table: Table) -> Quantity:
    slow = measure.numbers.get("slow") or measure.numbers.get("seconds")
    budget = 1 - measure.numbers.get("slo", 0.0)
    if slow:
        parts = _slow(table, slow)
    elif measure.name in ("missing", "present"):
        parts = _presence(table.place(f"{measure.texts[0]}?"), wanted=measure.name == "present")
    elif measure.name == "status_ratio":
        parts = _status(table.place(_status_key(measure)), measure.texts[0])
    else:
        parts = _failed(table.place("error_type"))

    def value(parts: Parts) -> float | None:
        total = parts.get(TOTAL, 0.0)
        return parts.get(BAD, 0.0) / total / budget if total > 0 else None

    return Quantity(parts, value, "share")


def _status_key(measure: Measure) -> str:
    return "status_class" if measure.texts[0].endswith("xx") else "status"


def _failed(place: int) -> Callable[[Group], Parts]:
    def parts(group: Group) -> Parts:
        kind = group.key[place]
        if kind == OTHER:
            return {}
        return {TOTAL: group.weight, BAD: group.weight} if kind else {TOTAL: group.weight}

    return parts


def _status(place: int, wanted: str) -> Callable[[Group], Parts]:
    def parts(group: Group) -> Parts:
        status = group.key[place]
        # A status that is not known is neither good nor bad; nor is one of the groups that had no room.
        if status is None or not STATUS.fullmatch(status):
            return {}
        return {TOTAL: group.weight, BAD: group.weight} if status == wanted else {TOTAL: group.weight}

    return parts


def _presence(place: int, *, wanted: bool) -> Callable[[Group], Parts]:
    sought = "1" if wanted else "0"

    def parts(group: Group) -> Parts:
        found = group.key[place]
        # Of a row without a head nobody knows.
        if found not in ("0", "1"):
            return {}
        return {TOTAL: group.weight, BAD: group.weight} if found == sought else {TOTAL: group.weight}

    return parts


def _slow(table: Table, seconds: float) -> Callable[[Group], Parts]:
    column, unit = COLUMNS["duration"]
    index = table.measure({"histogram": column, "bounds": [round(seconds * unit)]})

    def parts(group: Group) -> Parts:
        within, beyond = group.measures[index]
        return {TOTAL: within + beyond, BAD: beyond}

    return parts


def _quantile(measure: Measure, table: Table, exact: tuple[float, ...]) -> Quantity:
    column, unit = COLUMNS[measure.texts[0]]
    first = _FIRST_NS if unit > 1 else _FIRST_BYTES
    bounds = sorted({round(first * _GROWTH**step) for step in range(_STEPS)} | {round(value * unit) for value in exact})
    index, share = table.measure({"histogram": column, "bounds": bounds}), measure.numbers["share"]

    def value(parts: Parts) -> float | None:
        found = _within(parts, bounds, share)
        return None if found is None else found / unit

    return Quantity(lambda group: _sparse(group.measures[index]), value, "size")


def _sparse(counts: list[float]) -> Parts:
    return {number: count for number, count in enumerate(counts) if count}


def _within(parts: Parts, bounds: list[int], share: float) -> float | None:
    """Give a quantile as Prometheus' histogram_quantile does: interpolated inside its bucket, from 0."""
    buckets = sorted(number for number in parts if number != ROWS)
    total = sum(parts[number] for number in buckets)
    if total <= 0:
        return None
    rank, seen = share * total, 0.0
    for number in buckets:
        count = parts[number]
        if seen + count >= rank and number < len(bounds):
            low = bounds[number - 1] if number else 0
            return low + (bounds[number] - low) * (rank - seen) / count
        seen += count
    return float(bounds[-1])


def _sum(measure: Measure, table: Table) -> Quantity:
    column, unit = COLUMNS[measure.texts[0]]
    index = table.measure({"sum": column})

    def parts(group: Group) -> Parts:
        total, count = group.measures[index]
        return {TOTAL: count, BAD: total}

    def average(parts: Parts) -> float | None:
        return parts.get(BAD, 0.0) / parts[TOTAL] / unit if parts.get(TOTAL, 0.0) > 0 else None

    if measure.name == "average":
        return Quantity(parts, average, "size")
    return Quantity(parts, lambda parts: parts.get(BAD, 0.0) / unit, "count")


def _extreme(measure: Measure, table: Table) -> Quantity:
    index = table.measure({measure.name: measure.texts[0]})
    picks: Mapping[str, Callable[[float, float], float]] = {"min": min, "max": max, "last": lambda _, later: later}

    def parts(group: Group) -> Parts:
        found = group.measures[index]
        return {} if found is None else {TOTAL: float(found)}

    return Quantity(parts, lambda parts: parts.get(TOTAL), "size", picks[measure.name])
