"""The last minutes or days of each series: sums over a range that moves with the slots, in bounded memory."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from masthead.alerts.tables import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from masthead.alerts.quantities import Parts

Labels: TypeAlias = tuple[str, ...]

# A range is kept in so many buckets at most: the oldest goes as a whole, so a range is short by at most a sixtieth.
BUCKETS = 60
# Series of one measure; those beyond count as one.
SERIES = 1_000
# A series without calls is remembered so long, so that it can be 0.
REMEMBERED_NS = 86_400_000_000_000
# Subtracting weights leaves dust behind.
_DUST = 1e-9


class Window:
    """Sums of parts over a range, by series.

    Args:
        seconds: The range; rounded up to whole slots.
        slot_ns: Length of a slot.
        pick: For what does not add up: how two values become one.
        cap: How many series there can be.

    Attributes:
        range_ns: The range in force.
        overflowed: Groups that were counted as `_other` because there were too many series.
    """

    def __init__(
        self,
        seconds: float,
        slot_ns: int,
        pick: Callable[[float, float], float] | None = None,
        cap: int = SERIES,
    ) -> None:
        slots = max(1, -(-round(seconds * 1e9) // slot_ns))
        self.range_ns = slots * slot_ns
        self.overflowed = 0
        self._width_ns = -(-slots // BUCKETS) * slot_ns
        self._slot_ns = slot_ns
        self._pick = pick
        self._cap = cap
        self._series: dict[Labels, _Series] = {}
        self._seen: dict[Labels, int] = {}

    def add(self, end_ns: int, labels: Labels, parts: Parts) -> None:
        """Add what a slot that ended then had for a series."""
        if labels not in self._seen and len(self._seen) >= self._cap:
            self.overflowed += 1
            labels = (OTHER,) * len(labels)
        self._seen[labels] = end_ns
        if labels not in self._series:
            self._series[labels] = _Series()
        self._series[labels].add((end_ns - self._slot_ns) // self._width_ns, parts, self._pick)

    def advance(self, end_ns: int) -> None:
        """Let go of what lies before the range that ends then."""
        oldest = -(-(end_ns - self.range_ns) // self._width_ns)
        for labels in [labels for labels, series in self._series.items() if series.drop(oldest)]:
            del self._series[labels]
        for labels in [labels for labels, seen in self._seen.items() if end_ns - seen > REMEMBERED_NS]:
            if labels not in self._series:
                del self._seen[labels]

    def parts(self, labels: Labels) -> Parts:
        """Give the sums of a series; empty where it has none."""
        series = self._series.get(labels)
        return series.parts(self._pick) if series else {}

    def series(self) -> Iterable[Labels]:
        """Give the series that have something in the range."""
        return list(self._series)

    def remembered(self) -> Iterable[Labels]:
        """Give the series that had something within a day, or within the range where that is longer."""
        return list(self._seen)

    def state(self) -> dict[str, Any]:
        """Give what it holds, for JSON."""
        series = [[list(labels), series.state()] for labels, series in self._series.items()]
        return {"series": series, "seen": [[list(labels), seen] for labels, seen in self._seen.items()]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what an earlier one held."""
        for labels, buckets in state["series"]:
            held = self._series[tuple(labels)] = _Series()
            for bucket, parts in buckets:
                held.add(bucket, {int(index): value for index, value in parts.items()}, self._pick)
        self._seen.update({tuple(labels): seen for labels, seen in state["seen"]})


class _Series:
    __slots__ = ("_buckets", "_sums")

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, dict[int, float]]] = deque()
        self._sums: dict[int, float] = {}

    def add(self, bucket: int, parts: Parts, pick: Callable[[float, float], float] | None) -> None:
        if not self._buckets or self._buckets[-1][0] != bucket:
            self._buckets.append((bucket, {}))
        held = self._buckets[-1][1]
        for index, value in parts.items():
            if pick:
                held[index] = pick(held[index], value) if index in held else value
            else:
                held[index] = held.get(index, 0.0) + value
                self._sums[index] = self._sums.get(index, 0.0) + value

    def drop(self, oldest: int) -> bool:
        """Let go of older buckets; tells whether nothing is left."""
        while self._buckets and self._buckets[0][0] < oldest:
            for index, value in self._buckets.popleft()[1].items():
                left = self._sums.get(index, 0.0) - value
                if abs(left) < _DUST:
                    self._sums.pop(index, None)
                else:
                    self._sums[index] = left
        return not self._buckets

    def parts(self, pick: Callable[[float, float], float] | None) -> Parts:
        if not pick:
            return self._sums
        found: dict[int, float] = {}
        for _, parts in self._buckets:
            for index, value in parts.items():
                found[index] = pick(found[index], value) if index in found else value
        return found

    def state(self) -> list[Any]:
        return [[bucket, parts] for bucket, parts in self._buckets]
