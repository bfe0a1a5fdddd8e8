"""The shape of a day and of a week, with level and trend: one ridge regression on a calendar.

Columns of the regression: level, a trend or a step for each known change, place in the day, day of the week, hour of
the week. The last three are ridges that pool: an hour of the week that was seen three times is drawn towards what its
hour and its day say of it. Weights fall with age. What is left over is an AR(1) under noise, whose state at the end is
carried on (a Kalman filter with one number).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"

_HOURS = 168
_DAYS = 7
# How strongly each group of columns is drawn to zero: in observations that say so.
_DAY_RIDGE = 0.3
_STEP_RIDGE = 0.5
_TREND_RIDGE = 2.0
_NONE = 1e-6
# Rests of longer ago say nothing about the next ones.
_MEMORY = 500
# Below this correlation of neighbours there is nothing to carry on.
_LEAST_CORRELATION = 0.05
_MOST_CORRELATION = 0.995


@dataclass(frozen=True, slots=True)
class Calendar:
    """How many steps a day and an hour have; a step is at most an hour and divides it.

    Attributes:
        hour: Steps in an hour.
        weekly: Whether the week has a shape; else only the day.
        daily: Whether the day has one.
    """

    hour: int = 1
    weekly: bool = True
    daily: bool = True

    @property
    def day(self) -> int:
        """Steps in a day."""
        return 24 * self.hour

    @property
    def week(self) -> int:
        """Steps in a week."""
        return _HOURS * self.hour

    def groups(self) -> list[int]:
        """Give the number of columns of each group."""
        return [self.day] * self.daily + [_DAYS, _HOURS] * self.weekly

    def columns(self, first: int, count: int) -> Floats:
        """Give the calendar's columns, one row a step.

        Args:
            first: Steps from 1970 (a Thursday) to the first row.
            count: How many rows.
        """
        at = first + np.arange(count)
        places = [at % self.day] if self.daily else []
        if self.weekly:
            places += [at // self.day % _DAYS, at // self.hour % _HOURS]
        found = np.zeros((count, sum(self.groups())))
        offset = 0
        for place, size in zip(places, self.groups(), strict=True):
            found[np.arange(count), offset + place] = 1
            offset += size
        return found


@dataclass(frozen=True, slots=True)
class Choice:
    """What a fit assumes.

    Attributes:
        pooling: Ridge on the hours of the week; large: each day has the same shape.
        half_life: Weeks after which an observation counts half.
        trend: Whether level moves in a line; it is carried on for one week and then stays.
    """

    pooling: float
    half_life: float
    trend: bool


def extrapolate(  # noqa: PLR0913 - a regression's parts
    values: Floats, columns: Floats, calendar: Calendar, choice: Choice, *, steps: Sequence[int] = (), ahead: int = 0
) -> tuple[Floats, Floats]:
    """Fit, and carry on.

    Args:
        values: Shape (n,), NaN where nothing is known.
        columns: The calendar's columns for the n steps and those ahead, shape (n + ahead or more, k).
        calendar: What they mean.
        choice: What to assume.
        steps: Where the level changed; a choice with a trend does without.
        ahead: How many steps to give.

    Returns:
        What comes, shape (ahead,), and what the shape leaves over of the values, shape (n,).
    """
    count = len(values)
    known = ~np.isnan(values)
    age = np.arange(count) - (count - 1)
    base, ridge = _base(count, ahead, calendar, choice, steps)
    design = np.hstack([base, columns[: count + ahead]])
    seen = design[:count][known]
    weighed = seen * 0.5 ** (-age[known] / (choice.half_life * calendar.week))[:, None]
    gram = weighed.T @ seen
    gram[np.diag_indices_from(gram)] += np.concatenate([ridge, _ridge(calendar, choice)])
    found = np.linalg.solve(gram, weighed.T @ values[known])
    fitted = design @ found
    rest = values - fitted[:count]
    return fitted[count:] + _carried(rest, ahead), rest


def _base(
    count: int, ahead: int, calendar: Calendar, choice: Choice, steps: Sequence[int]
) -> tuple[Floats, list[float]]:
    at = np.arange(count + ahead)
    level = np.ones(count + ahead)
    if choice.trend:
        # Without the steps: a slope looks like a staircase, whose last step knows of no slope.
        return np.stack([level, np.minimum((at - count) / calendar.week, 1.0)], 1), [_NONE, _TREND_RIDGE]
    return np.stack([level, *((at >= step).astype(float) for step in steps)], 1), [_NONE, *(_STEP_RIDGE for _ in steps)]


def _ridge(calendar: Calendar, choice: Choice) -> Floats:
    sizes = calendar.groups()
    strengths = [_DAY_RIDGE] * (len(sizes) - calendar.weekly) + [choice.pooling] * calendar.weekly
    return np.repeat(np.array(strengths, dtype=np.float64), sizes)


def _carried(rest: Floats, ahead: int) -> Floats:
    """What the last rests say of the next ones."""
    whole = float(np.nanmean(rest * rest)) if len(rest) else 0.0
    first, fourth = covariance(rest, 1), covariance(rest, 4)
    if whole <= 0 or first <= _LEAST_CORRELATION * whole:
        return np.zeros(ahead)
    kept = float(np.clip((max(fourth, 1e-9 * whole) / first) ** (1 / 3), _LEAST_CORRELATION, _MOST_CORRELATION))
    share = min(first / kept / whole, 1.0)
    return _state(rest[-_MEMORY:], kept, share) * np.power(kept, np.arange(1, ahead + 1, dtype=np.float64))


def _state(rest: Floats, kept: float, share: float) -> float:
    """Filter: `share` of the variance is a state of which `kept` stays at each step, what is left is noise."""
    moved, noise = share * (1 - kept * kept), max(1 - share, 1e-3)
    state, doubt = 0.0, share
    for value in rest.tolist():
        state, doubt = kept * state, kept * kept * doubt + moved
        if value == value:  # noqa: PLR0124 - NaN
            gain = doubt / (doubt + noise)
            state, doubt = state + gain * (value - state), doubt * (1 - gain)
    return state


def covariance(rest: Floats, lag: int) -> float:
    """Give the mean product of values so many steps apart, where both are known; 0 where none are."""
    products = rest[lag:] * rest[:-lag]
    known = ~np.isnan(products)
    return float(products[known].mean()) if known.any() else 0.0
