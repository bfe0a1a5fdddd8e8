"""A series' future with intervals, by what would have been best for its own past.

What the model assumes (how strongly hours of the week are pooled, how fast the past is forgotten, whether there is a
trend, logarithm or square root) is chosen by the errors of forecasts from several origins in the past. The intervals
are quantiles of the errors of such forecasts, by how far ahead they were (split conformal prediction, with rolling
origins), taken after the transformation: an interval is wider where there is more traffic, and never below zero.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from masthead.forecast.changes import cuts
from masthead.forecast.scale import SCALES, Scale
from masthead.forecast.shape import Calendar, Choice, extrapolate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from masthead.forecast.shape import Floats

LEVELS = (0.80, 0.95)
# Origins that the choice is made with, and that the intervals are made of.
_TRIED = 4
_TESTED = 14
# The best few are averaged: less depends on which one won by a hair.
_AVERAGED = 3
_CHOICES = tuple(
    Choice(pooling, half_life, trend)
    for pooling, half_life, trend in itertools.product((2.0, 1e4), (1.0, 4.0), (False, True))
)
# Whose rests show a change of level: all of the past counts. A trend leans towards a step, so it is only taken out
# where it says it better.
_STEADY, _TRENDING = (Choice(2.0, 50.0, trend) for trend in (False, True))
_PLAIN = tuple(Choice(2.0, half_life, trend=False) for half_life in (0.5, 4.0))
# Hours ahead at which another interval begins.
_EDGES = (0, 1, 3, 12, 48, 168, 10**9)
# With fewer errors nothing is said of an interval.
_FEWEST = 12
# Less than so many days tell nothing of a day's shape, and of a week's.
DAILY_DAYS, WEEKLY_DAYS = 3, 15
_LEAST_DAYS = 1
# Observations of which at least so many must be known.
_LEAST_KNOWN = 20
# A day's error counts when more than this share of the day is known, and with fewer days nothing is said.
_MOSTLY, _FEWEST_DAYS = 0.5, 5


@dataclass(frozen=True, slots=True)
class Forecast:
    """What comes.

    Attributes:
        expected: Shape (n,): the next n steps. Shorter than asked where the history is too short to say more, empty
            where it says nothing.
        lower: By level (0.8, 0.95), each of shape (n,).
        upper: Likewise.
        method: `week`, `day` or `level`: which shape the history was long enough for; `none`: for nothing.
        changes: Steps of the history at which its level changed.
        day: Half the width of the 80 % interval of a day taken together, on the scale; NaN where it is not known.
        scale: What that is on.
        most: What no value exceeds.
    """

    expected: Floats
    lower: dict[float, Floats]
    upper: dict[float, Floats]
    method: str
    changes: list[int]
    day: float = np.nan
    scale: Scale = field(default_factory=Scale)
    most: float | None = None

    def of_day(self, expected: float) -> tuple[float, float]:
        """Give the 80 % interval of a day taken together, from what is expected of it; NaN where it is not known."""
        middle = self.scale.there(np.array([expected]))
        low, high = (self.scale.back(middle + width, self.most) for width in (-self.day, self.day))
        return float(low[0]), float(high[0])


@dataclass(frozen=True, slots=True)
class _Problem:
    """Values on a scale, and all that forecasts of them share."""

    raw: Floats
    values: Floats
    columns: Floats
    calendar: Calendar
    scale: Scale

    def ahead(self, choices: Sequence[Choice], origin: int, ahead: int, steps: Sequence[int]) -> Floats:
        """Forecast from an origin, knowing nothing of what comes after it."""
        past = self.values[:origin]
        found = [
            extrapolate(past, self.columns, self.calendar, choice, steps=steps, ahead=ahead)[0] for choice in choices
        ]
        return np.asarray(np.mean(found, axis=0), dtype=np.float64)

    def error(self, choice: Choice, steps: Mapping[int, Sequence[int]], ahead: int) -> float:
        """Give the mean absolute error of forecasts from several origins, in the unit of the series.

        Args:
            choice: What to assume.
            steps: Where the level had changed, by origin.
            ahead: How far they look.
        """
        found = []
        for origin, changed in steps.items():
            came = self.raw[origin : origin + ahead]
            said = self.scale.back(self.ahead([choice], origin, len(came), changed), None)
            known = ~np.isnan(came)
            found.append(float(np.abs(said - came)[known].mean()) if known.any() else 0.0)
        return float(np.mean(found))

    def steps(self, origin: int) -> list[int]:
        """Where the level of what was before had changed."""
        return self._cuts(self._rest(origin, _STEADY))

    def changes(self) -> list[int]:
        """Where the level changed, unless a slope says it better: then where it left the slope."""
        count = len(self.values)
        steps = self.steps(count)
        sloping = self._rest(count, _TRENDING)
        if steps and np.nanvar(sloping) < np.nanvar(self._rest(count, _STEADY, steps)):
            return self._cuts(sloping)
        return steps

    def _rest(self, origin: int, choice: Choice, steps: Sequence[int] = ()) -> Floats:
        return extrapolate(self.values[:origin], self.columns, self.calendar, choice, steps=steps)[1]

    def _cuts(self, rest: Floats) -> list[int]:
        hour = self.calendar.hour
        return [place * hour for place in cuts(by_hour(rest, hour))]


def predict(  # noqa: PLR0913 - each by its name
    values: Floats,
    first: int,
    ahead: int,
    *,
    hour: int = 1,
    most: float | None = None,
    together: Callable[[Floats], Any] = np.mean,
) -> Forecast:
    """Forecast a series.

    Args:
        values: Shape (n,), at least 0, NaN where nothing is known.
        first: Steps from 1970 to the first of them.
        ahead: How many steps to give.
        hour: Steps in an hour.
        most: What no value exceeds, such as 1 for a share.
        together: How the steps of a day make one value.
    """
    # Matrices of 200 by 200: more threads than one only wait for each other, and for whoever works beside.
    with threadpool_limits(1):
        return _predicted(np.asarray(values, dtype=np.float64), first, ahead, hour, most, together)


def _predicted(  # noqa: PLR0913, PLR0917 - the arguments of `predict`
    values: Floats, first: int, ahead: int, hour: int, most: float | None, together: Callable[[Floats], Any]
) -> Forecast:
    known = np.flatnonzero(~np.isnan(values))
    # What was before the first call is no history.
    skipped = int(known[0]) if len(known) else 0
    values = values[skipped:]
    calendar = _calendar(len(values), hour)
    if calendar is None or len(known) < _LEAST_KNOWN:
        return Forecast(np.zeros(0), {}, {}, "none", [])
    method = "week" if calendar.weekly else "day" if calendar.daily else "level"
    earliest = _earliest(len(values), calendar)
    ahead = min(ahead, len(values) - earliest)
    columns = calendar.columns(first + skipped, len(values) + ahead)
    problem, choices = _best(values, columns, calendar, earliest, ahead)
    errors = _errors(problem, choices, earliest, ahead)
    steps = problem.steps(len(values))
    expected = problem.ahead(choices, len(values), ahead, steps)
    widths = {level: _widths(errors, level, calendar.hour) for level in LEVELS}
    return Forecast(
        problem.scale.back(expected, most),
        {level: problem.scale.back(expected - width, most) for level, width in widths.items()},
        {level: problem.scale.back(expected + width, most) for level, width in widths.items()},
        method,
        [skipped + step for step in problem.changes()],
        _day_width(problem, errors, earliest, together),
        problem.scale,
        most,
    )


def by_hour(values: Floats, hour: int) -> Floats:
    """Give means of whole hours from the first value on; NaN where nothing is known."""
    if hour == 1:
        return values
    whole = values[: len(values) // hour * hour].reshape(-1, hour)
    known = ~np.isnan(whole)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, whole, 0).sum(1) / known.sum(1), dtype=np.float64)


def _calendar(count: int, hour: int) -> Calendar | None:
    days = count / (24 * hour)
    if days < _LEAST_DAYS:
        return None
    return Calendar(hour, weekly=days >= WEEKLY_DAYS, daily=days >= DAILY_DAYS)


def _earliest(count: int, calendar: Calendar) -> int:
    """The first origin: what is before it must show the shape at least once."""
    least = calendar.week + calendar.day if calendar.weekly else calendar.day * 2 if calendar.daily else count // 2
    return max(least, count // 2)


def _best(
    values: Floats, columns: Floats, calendar: Calendar, earliest: int, ahead: int
) -> tuple[_Problem, list[Choice]]:
    """Try every choice on every scale, from a few origins; give the best scale and its best choices."""
    choices = _CHOICES if calendar.weekly else _PLAIN
    origins = _origins(earliest, len(values), min(ahead, calendar.day), _TRIED)
    ranked: list[tuple[float, int, _Problem, list[Choice]]] = []
    for make in SCALES:
        scale = make(values)
        problem = _Problem(values, scale.there(values), columns, calendar, scale)
        steps = {origin: problem.steps(origin) for origin in origins}
        scores = sorted((problem.error(choice, steps, ahead), place) for place, choice in enumerate(choices))
        ranked.append((scores[0][0], len(ranked), problem, [choices[place] for _, place in scores[:_AVERAGED]]))
    _, _, problem, chosen = min(ranked)
    return problem, chosen


def _origins(earliest: int, count: int, least: int, most: int) -> list[int]:
    last = max(earliest, count - least)
    return sorted({int(place) for place in np.linspace(earliest, last, most)})


def _errors(problem: _Problem, choices: Sequence[Choice], earliest: int, ahead: int) -> Floats:
    """Errors of forecasts from origins in the past, one row each, on the scale; NaN where nothing came."""
    count = len(problem.values)
    found = np.full((_TESTED, ahead), np.nan)
    for row, origin in enumerate(_origins(earliest, count, 1, _TESTED)):
        came = problem.values[origin : origin + ahead]
        said = problem.ahead(choices, origin, len(came), problem.steps(origin))
        found[row, : len(came)] = came - said
    return found


def _day_width(problem: _Problem, errors: Floats, earliest: int, together: Callable[[Floats], Any]) -> float:
    """Give the 80 % quantile of the errors of whole days, as far as there are enough; NaN where not."""
    day, scale, found = problem.calendar.day, problem.scale, []
    for origin, error in zip(_origins(earliest, len(problem.values), 1, _TESTED), errors, strict=False):
        came = problem.values[origin : origin + day]
        wrong = error[: len(came)]
        known = ~np.isnan(wrong)
        if len(wrong) == day and known.mean() > _MOSTLY:
            both = [together(scale.back(values[known], None)) for values in (came, came - wrong)]
            found.append(float(np.ptp(scale.there(np.array(both)))))
    return float(np.quantile(found, _conformal(LEVELS[0], len(found)))) if len(found) >= _FEWEST_DAYS else np.nan


def _widths(errors: Floats, level: float, hour: int) -> Floats:
    """Half the width of an interval for each step ahead; as wide as before where too few errors are known."""
    found = np.full(errors.shape[1], np.nan)
    width, doubt = np.nan, _doubt(errors, level)
    for begin, end in itertools.pairwise(_EDGES):
        some = np.abs(errors[:, begin * hour : end * hour])
        some = some[~np.isnan(some)]
        if len(some) >= _FEWEST:
            width = float(np.nanmax([width, doubt * np.quantile(some, _conformal(level, len(some)))]))
        found[begin * hour : end * hour] = width
    return found


def _conformal(level: float, count: int) -> float:
    """The share of past errors that makes up for there being so few of them."""
    return min(1.0, level * (1 + 1 / count)) if count else 1.0


def _doubt(errors: Floats, level: float) -> float:
    """How much wider to be because errors come in runs: many errors that follow each other tell as little as a few.

    Student's t over the normal quantile (Cornish-Fisher, first order), for as many errors as there are of their own.
    """
    whole = float(np.nanmean(errors * errors))
    products = errors[:, 1:] * errors[:, :-1]
    if whole <= 0 or np.isnan(products).all():
        return 1.0
    alike = float(np.clip(np.nanmean(products) / whole, 0.0, 0.99))
    own = max(2.0, np.count_nonzero(~np.isnan(errors).all(0)) * (1 - alike) / (1 + alike))
    square = NormalDist().inv_cdf((1 + level) / 2) ** 2
    return float((1 + (square + 1) / (4 * own)) * np.sqrt(1 + 1 / own))
