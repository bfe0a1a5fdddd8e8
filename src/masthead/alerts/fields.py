"""Which values a header field has, learned as they come: what is new, and what is gone.

A value is new when its series was watched for long enough before it came. A value is gone when, by the share it had of
the calls when it was last seen, at least twenty calls of the range should have carried it and none did: by chance that
happens once in half a billion. A field whose values are too many to be a set (request ids) has neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from masthead.alerts.tables import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from masthead.alerts.windows import Labels

# Values of one series, of up to 1 KiB each; more than these are no set.
VALUES = 100
# Series; whoever calls makes authorities up.
SERIES = 200
# A series that has not come for so long is forgotten, and so is a value.
_FORGOTTEN_NS = 30 * 86_400_000_000_000
# Calls that should have carried a value.
_EXPECTED = 20.0
# A share follows the last so many calls.
_CALLS = 500.0


class Fields:
    """The values of a field, by series.

    Args:
        learn_ns: How long a series is only watched.

    Attributes:
        overflowed: Values that were not looked at because they, or their series, were too many.
    """

    def __init__(self, learn_ns: int) -> None:
        self.overflowed = 0
        self._learn_ns = learn_ns
        self._series: dict[Labels, _Known] = {}

    def add(self, end_ns: int, labels: Labels, calls: Mapping[str, float]) -> None:
        """Add what a slot that ended then had for a series: calls by value, an empty one for those without."""
        if labels not in self._series and len(self._series) >= SERIES:
            self.overflowed += len(calls)
            return
        total = sum(calls.values())
        if total <= 0:
            return
        known = self._series.setdefault(labels, _Known(end_ns))
        known.last_ns = end_ns
        follow = min(1.0, total / _CALLS)
        for value, entry in known.values.items():
            entry.share += follow * (calls.get(value, 0.0) / total - entry.share)
        for value in calls:
            if value == OTHER:
                # The table had no room for more values in one slot: they are no set.
                known.room = False
            elif value in known.values:
                known.values[value].seen(end_ns)
            elif known.room:
                known.values[value] = _Value(end_ns, end_ns, calls[value] / total)
            else:
                self.overflowed += 1
        known.room = known.room and len(known.values) < VALUES

    def advance(self, end_ns: int) -> None:
        """Forget what was not seen for a month."""
        for labels in [labels for labels, known in self._series.items() if end_ns - known.last_ns > _FORGOTTEN_NS]:
            del self._series[labels]
        for known in self._series.values():
            old = [value for value, entry in known.values.items() if end_ns - entry.last_ns > _FORGOTTEN_NS]
            for value in old:
                del known.values[value]

    def new(self, end_ns: int, range_ns: int) -> Iterator[tuple[Labels, str]]:
        """Give series and value of what was first seen in the range."""
        for labels, known in self._series.items():
            ready_ns = max(known.first_ns + self._learn_ns, end_ns - range_ns)
            for value, entry in known.values.items():
                if entry.first_ns > ready_ns and known.room and value:
                    yield labels, value

    def gone(self, end_ns: int, range_ns: int, calls: Mapping[Labels, float]) -> Iterator[tuple[Labels, str, float]]:
        """Give series, value and expected calls of what is missing; `calls` has what each series had in the range."""
        for labels, known in self._series.items():
            had = calls.get(labels, 0.0)
            for value, entry in known.values.items():
                absent_ns = end_ns - entry.last_ns
                settled = entry.last_ns - entry.first_ns >= self._learn_ns
                if (
                    value
                    and settled
                    and known.room
                    and range_ns <= absent_ns < 2 * range_ns
                    and had * entry.last >= _EXPECTED
                ):
                    yield labels, value, had * entry.last

    def state(self) -> list[Any]:
        """Give what it knows, for JSON."""
        return [[list(labels), known.state()] for labels, known in self._series.items()]

    def restore(self, state: list[Any]) -> None:
        """Take what an earlier one knew."""
        for labels, (first_ns, last_ns, room, values) in state:
            known = self._series[tuple(labels)] = _Known(first_ns)
            known.last_ns, known.room = last_ns, room
            known.values = {value: _Value(*entry) for value, *entry in values}


class _Value:
    __slots__ = ("first_ns", "last", "last_ns", "share")

    def __init__(self, first_ns: int, last_ns: int, share: float, last: float | None = None) -> None:
        self.first_ns = first_ns
        self.last_ns = last_ns
        self.share = share
        self.last = share if last is None else last

    def seen(self, end_ns: int) -> None:
        self.last_ns = end_ns
        self.last = self.share


class _Known:
    __slots__ = ("first_ns", "last_ns", "room", "values")

    def __init__(self, first_ns: int) -> None:
        self.first_ns = self.last_ns = first_ns
        # Whether there is still room: once there was none, the field's values are no set.
        self.room = True
        self.values: dict[str, _Value] = {}

    def state(self) -> list[Any]:
        values = [
            [value, entry.first_ns, entry.last_ns, entry.share, entry.last] for value, entry in self.values.items()
        ]
        return [self.first_ns, self.last_ns, self.room, values]
