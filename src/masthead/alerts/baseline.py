"""What is usual at this hour of the week, learned as it goes, and how far from it a value is.

Each series keeps the level of each hour of the week (168) and, until that was seen twice, of each hour of a working day
or weekend day (48). Between the middles of two hours a level is interpolated, or the edge of an hour would look like a
jump. Levels forget exponentially. What scatters more when it is larger is compared where it scatters alike: counts as
square roots (Anscombe 1948), shares as arc sines, sizes as logarithms.

The spread is robust: the third quartile of a week's hourly medians of the distance between value and expectation, each
expectation made before its hour was learned. Hours far off are learned only in part, so that an outage does not become
usual; what lasts a whole day does.
"""

from __future__ import annotations

import math
from array import array
from statistics import median
from typing import Any, NamedTuple

HOUR_NS = 3_600_000_000_000
# A level speaks when it was seen so often.
_TWICE = 2
# More than this need not be counted.
_OFTEN = 255
_FORGET = 0.3
_DAY_HOURS = 24
_WEEK_HOURS = 168
# A median of distances to a standard deviation, if they are normal.
_NORMAL = 1.4826
# Hours that are further off than this many spreads are learned only up to `_CLIPPED` of them.
_FAR, _CLIPPED = 4.0, 1.0
# Beyond so many spreads, in so many hours of a day and on one side: the new usual.
_LASTING, _HOURS = 3.0, 20
# The spread of a week cannot grow faster than this from hour to hour.
_GROWTH = 3.0
# Distances of an hour that go into its median.
_MOST = 240
_SATURDAY = 5
# What a p95 of so many calls scatters: 1.3 over their root for lognormal times with a spread of 0.6, the usual kind.
_SAMPLED = 1.5
_MIDDLE = 0.5
_TINY = 1e-9


class Hour(NamedTuple):
    """An hour of the calendar: `of_week` 0 is Monday's first; `number` counts the hours since 1970."""

    number: int
    of_week: int


class Moment(NamedTuple):
    """A time on the calendar: an hour, and how far into it (0 to 1)."""

    hour: Hour
    into: float


class Scale(NamedTuple):
    """How a kind of value is compared.

    Attributes:
        name: `count`, `share` or `size`.
        relative: Smallest spread, as a part of the expectation (counts) or as it is (sizes).
    """

    name: str
    relative: float

    def flat(self, value: float) -> float:
        """Give a value where its scatter does not depend on its size."""
        if self.name == "count":
            return math.sqrt(max(value, 0.0) + 0.375)
        if self.name == "share":
            return math.asin(math.sqrt(min(max(value, 0.0), 1.0)))
        return math.log(max(value, _TINY))

    def value(self, flat: float) -> float:
        """Give the value back."""
        if self.name == "count":
            return max(max(flat, 0.0) ** 2 - 0.375, 0.0)
        if self.name == "share":
            return math.sin(min(max(flat, 0.0), math.pi / 2)) ** 2
        return math.exp(flat)

    def moved(self, flat: float, by: float) -> float:
        """Shift a level: counts and sizes by a factor, shares by a distance."""
        return flat * math.exp(by) if self.name == "count" else flat + by

    def shift(self, flat: float, usual: float) -> float:
        """Give by how much a level would have to be shifted to be another one."""
        return math.log(max(flat, 0.1) / max(usual, 0.1)) if self.name == "count" else flat - usual

    def floor(self, flat: float, calls: float) -> float:
        """Give the spread that chance alone makes (Poisson, binomial, a sample), or that nobody calls a change."""
        if self.name == "count":
            return math.hypot(0.5, self.relative * flat)
        if self.name == "share":
            return 0.5 / math.sqrt(max(calls, 1.0))
        return math.hypot(self.relative, _SAMPLED / math.sqrt(max(calls, 1.0)))


SCALES = {"count": Scale("count", 0.04), "share": Scale("share", 0.0), "size": Scale("size", 0.05)}


class Judged(NamedTuple):
    """A value held against its baseline.

    Attributes:
        expected: What is usual.
        bound: What is still usual: beyond `expected`, where the next hour is so.
        score: How many spreads it is beyond that; negative below, 0 within.
    """

    expected: float
    bound: float
    score: float


class _Usual(NamedTuple):
    """An expectation, and the levels of the hours around it, on the flat scale."""

    low: float
    middle: float
    high: float


class Baseline:
    """The baseline of one series.

    Args:
        scale: How its values are compared.
    """

    __slots__ = (
        "_calls",
        "_distances",
        "_hour",
        "_levels",
        "_medians",
        "_recent",
        "_scale",
        "_seen",
        "_shift",
        "_spread",
    )

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        # The levels of the week's hours, then of those of working and of weekend days; and how often each was seen.
        self._levels = array("d", [0.0] * (_WEEK_HOURS + 2 * _DAY_HOURS))
        self._seen = bytearray(len(self._levels))
        self._shift = 0.0
        self._spread = 0.0
        self._medians = array("d")
        self._recent: list[float] = []
        self._hour: Hour | None = None
        # Of the hour that goes on: weighted values, weights, calls, and how many values.
        self._calls = [0.0, 0.0, 0.0, 0]
        self._distances = array("d")

    @property
    def knows(self) -> bool:
        """Whether it has seen enough to say how far values scatter."""
        return len(self._medians) >= _DAY_HOURS

    def learn(self, moment: Moment, value: float, calls: float) -> None:
        """Learn a value, which rests on so many calls."""
        if self._hour != moment.hour:
            self._close()
            self._hour = moment.hour
        weight = calls if self._scale.name == "share" else 1.0
        told = math.log(max(value, _TINY)) if self._scale.name == "size" else value
        for place, more in enumerate((told * weight, weight, calls, 1)):
            self._calls[place] += more
        usual = self._usual(moment, 1)
        if usual is not None and len(self._distances) < _MOST:
            self._distances.append(abs(self._scale.flat(value) - usual.middle))

    def judge(self, moment: Moment, value: float, calls: float) -> Judged | None:
        """Hold a value against the baseline; `None` while that does not know enough."""
        usual = self._usual(moment, _TWICE) if self.knows else None
        if usual is None:
            return None
        flat = self._scale.flat(value)
        # Traffic may jump at an hour's edge (a job, a weekend): between the two levels nothing is unusual.
        bound = min(max(flat, usual.low), usual.high)
        spread = max(self._spread, self._scale.floor(bound, calls))
        told = bound if flat != bound else usual.middle
        return Judged(self._scale.value(usual.middle), self._scale.value(told), (flat - bound) / spread)

    def state(self) -> dict[str, Any]:
        """Give what it has learned, for JSON."""
        held = {name: getattr(self, f"_{name}") for name in (*_PLAIN, *_MANY)}
        return {name: list(value) if name in _MANY else value for name, value in held.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what an earlier one has learned."""
        for name in _PLAIN:
            setattr(self, f"_{name}", state[name])
        self._hour = Hour(*state["hour"]) if state["hour"] else None
        self._seen = bytearray(state["seen"])
        self._levels, self._medians, self._distances = (
            array("d", state[name]) for name in ("levels", "medians", "distances")
        )

    def _usual(self, moment: Moment, times: int) -> _Usual | None:
        """Give the expectation, on the flat scale; `None` where an hour was not seen so often."""
        here, into = moment.hour.of_week, moment.into
        there = (here + (1 if into >= _MIDDLE else -1)) % _WEEK_HOURS
        seen = self._seen
        if seen[here] < _TWICE or seen[there] < _TWICE:
            here, there = _KIND[here], _KIND[there]
            if seen[here] < times or seen[there] < times:
                return None
        here_flat, there_flat = self._levels[here], self._levels[there]
        if self._shift:
            here_flat, there_flat = (self._scale.moved(flat, self._shift) for flat in (here_flat, there_flat))
        middle = here_flat + (there_flat - here_flat) * abs(into - _MIDDLE)
        return _Usual(min(here_flat, there_flat), middle, max(here_flat, there_flat))

    def _close(self) -> None:
        """Learn the hour that is over."""
        hour, (values, weight, calls, count) = self._hour, self._calls
        if hour is None or weight <= 0:
            return
        mean = values / weight
        flat = mean if self._scale.name == "size" else self._scale.flat(mean)
        usual = self._usual(Moment(hour, _MIDDLE), 1)
        if usual is not None and self._distances:
            flat = self._weigh(flat, usual.middle, self._scale.floor(usual.middle, calls / count))
        flat = self._scale.moved(flat, -self._shift)
        for place in (hour.of_week, _KIND[hour.of_week]):
            self._seen[place] = min(self._seen[place] + 1, _OFTEN)
            self._levels[place] += max(1 / self._seen[place], _FORGET) * (flat - self._levels[place])
        self._calls, self._distances = [0.0, 0.0, 0.0, 0], array("d")

    def _weigh(self, flat: float, usual: float, floor: float) -> float:
        """Learn how far an hour was off; gives as much of its level as is to be learned."""
        spread = max(self._spread, floor)
        distance = median(self._distances)
        if self.knows:
            distance = min(distance, _GROWTH * spread / _NORMAL)
        self._medians = self._medians[-_WEEK_HOURS + 1 :]
        self._medians.append(distance)
        # The third quartile: what is usual in a bad hour, so that a day that is a bit off is no alarm.
        self._spread = _NORMAL * sorted(self._medians)[len(self._medians) * 3 // 4]
        off = flat - usual
        if not self.knows or abs(off) <= _LASTING * spread:
            self._recent = [*self._recent[-_DAY_HOURS + 1 :], 0.0]
            return flat
        self._recent = [*self._recent[-_DAY_HOURS + 1 :], self._scale.shift(flat, usual)]
        for sign in (1, -1):
            lasting = [by for by in self._recent if by * sign > 0]
            if len(lasting) >= _HOURS:
                self._shift += median(lasting)
                self._recent = []
                return flat
        return usual + math.copysign(_CLIPPED * spread, off) if abs(off) > _FAR * spread else flat


# What of a baseline is kept over a restart.
_PLAIN = ("shift", "spread", "recent", "hour", "calls")
_MANY = ("levels", "seen", "medians", "distances")
# Where the level of the hour of a working day, or behind those of a weekend day, stands for each hour of the week.
_KIND = [
    _WEEK_HOURS + hour % _DAY_HOURS + (_DAY_HOURS if hour // _DAY_HOURS >= _SATURDAY else 0)
    for hour in range(_WEEK_HOURS)
]
