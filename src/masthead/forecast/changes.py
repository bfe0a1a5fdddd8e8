"""Where the level of a series changed: the cheapest cut into pieces with a mean each.

Optimal partitioning (Jackson et al. 2005): squared error plus a price for each cut. The price is in units of the
noise's long-run variance, so that a series that wanders by itself is not cut at each turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from masthead.forecast.shape import Floats

# A cut costs so many times log(n) long-run variances. 2 is the usual price of one mean; more, because the place is
# chosen too, and since nobody wants to be told of a change that is none.
PRICE = 4.0
# Pieces are at least so long: half a day of hours.
SHORTEST = 12
# Autocovariances are summed up to here.
_LAGS = 48
# What lies farther out than so many deviations counts as if it lay there.
_OUTLYING = 5.0
# MAD of a normal variable to its deviation.
_MAD = 1.4826


def cuts(values: Floats, price: float = PRICE, shortest: int = SHORTEST) -> list[int]:
    """Give the places at which a new level begins, in order.

    Args:
        values: Shape (n,), without season; NaN where nothing is known.
        price: Of a cut.
        shortest: The fewest values between two cuts.
    """
    known = np.flatnonzero(~np.isnan(values))
    kept = _tamed(values[known])
    noise = long_run_variance(kept)
    if len(kept) < 2 * shortest or noise <= 0:
        return []
    return [int(known[place]) for place in _partition(kept, price * float(np.log(len(kept))) * noise, shortest)]


def long_run_variance(values: Floats) -> float:
    """Give the variance of a mean, times the number of values, as if the level never changed.

    From medians of differences, which a few changes of level don't move.
    """
    last = min(_LAGS, len(values) // 8)
    if last < 1:
        return 0.0
    spread = np.array([_half_square(values, lag) for lag in range(1, last + 1)])
    whole = max(float(spread[-1]), float(spread[0]))
    summed = whole + 2 * float(np.maximum(whole - spread[:-1], 0).sum())
    return max(summed, float(np.median(spread)))


def _half_square(values: Floats, lag: int) -> float:
    away = np.abs(values[lag:] - values[:-lag])
    middle = _MAD * float(np.median(away))
    # Counts of a quiet route: most differences are zero, and the median says nothing.
    return (middle**2 if middle > 0 else float(np.mean(away**2))) / 2


def _tamed(values: Floats) -> Floats:
    """Draw in what lies far out."""
    if not len(values):
        return values
    middle = float(np.median(values))
    spread = _MAD * float(np.median(np.abs(values - middle)))
    return np.clip(values, middle - _OUTLYING * spread, middle + _OUTLYING * spread) if spread > 0 else values


def _partition(values: Floats, price: float, shortest: int) -> list[int]:
    count = len(values)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    squares = np.concatenate([[0.0], np.cumsum(values * values)])
    best = np.full(count + 1, np.inf)
    best[0] = -price
    before = np.zeros(count + 1, dtype=np.int64)
    for end in range(shortest, count + 1):
        begins = np.arange(end - shortest + 1)
        piece = sums[end] - sums[begins]
        costs = best[begins] + squares[end] - squares[begins] - piece * piece / (end - begins)
        place = int(np.argmin(costs))
        best[end], before[end] = costs[place] + price, place
    return _traced(before, count)


def _traced(before: np.ndarray[tuple[int, ...], np.dtype[np.int64]], end: int) -> list[int]:
    found = []
    while (end := int(before[end])) > 0:
        found.append(end)
    return found[::-1]
