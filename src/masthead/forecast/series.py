"""Regular series from the rows of a question: one value a step, and NaN where nothing is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from masthead.forecast.shape import Floats

MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """The steps of a history.

    Attributes:
        first: Minutes from 1970 to the begin of the first step.
        count: How many steps.
        minutes: Length of a step; it divides an hour.
    """

    first: int
    count: int
    minutes: int

    @property
    def hour(self) -> int:
        """Steps in an hour."""
        return 60 // self.minutes

    @property
    def steps(self) -> int:
        """Steps from 1970 to the first one."""
        return self.first // self.minutes

    def begin_ns(self, step: int) -> int:
        """Give the begin of a step, nanoseconds since 1970; it may lie ahead."""
        return (self.first + step * self.minutes) * MINUTE_NS


@dataclass(frozen=True, slots=True)
class Series:
    """What one route, or one quota, did.

    Attributes:
        key: Which: `(route,)`, or `(authority, quota)`.
        values: Shape (n,); NaN where nothing is known.
    """

    key: tuple[str | None, ...]
    values: Floats


@dataclass(frozen=True, slots=True)
class Metric:
    """What can be forecast of a route.

    Attributes:
        name: As a limit names it, with its unit.
        value: From calls, errors and p95 of a step in which there were calls, and its seconds.
        idle: Of a step in which others were called but this route was not; `None`: it has none.
        most: What it can't exceed.
        together: How the steps of an hour or a day make one value.
    """

    name: str
    value: Callable[[float, float, float | None, float], float | None]
    idle: float | None = None
    most: float | None = None
    together: Callable[[Floats], Any] = np.mean


METRICS = {
    "rate": Metric("requests_per_second", lambda calls, _errors, _p95, seconds: calls / seconds, idle=0.0),
    "p95": Metric("p95_ms", lambda _calls, _errors, p95, _seconds: p95),
    "errors": Metric("error_ratio", lambda calls, errors, _p95, _seconds: errors / calls if calls else None, most=1.0),
    "quota": Metric("quota_used", lambda used, _errors, _p95, _seconds: used, most=1.0, together=np.max),
}


def span(alive: Sequence[int], since: int, until: int, minutes: int) -> Span:
    """Give the steps from the first one that is wholly known to the last one that is over.

    Args:
        alive: Minutes at which steps began in which anything was logged, in order.
        since: Minutes from 1970 to the begin of what was asked for.
        until: Minutes from 1970 to its end.
        minutes: Length of a step.
    """
    end = until // minutes * minutes
    # The step in which logging began is known in part.
    first = max(-(-since // minutes) * minutes, alive[0] + minutes if alive else end)
    return Span(first, max(0, (end - first) // minutes), minutes)


def of_routes(
    rows: Iterable[tuple[str | None, int, float, float, float | None]], alive: Iterable[int], over: Span, metric: Metric
) -> list[Series]:
    """Make one series for each route, in the order in which they come."""
    known = np.zeros(over.count, dtype=bool)
    for minute in alive:
        if (place := _place(minute, over)) is not None:
            known[place] = True
    found: dict[str | None, Floats] = {}
    for route, minute, calls, errors, p95 in rows:
        values = found.setdefault(route, _idle(known, metric))
        value = metric.value(calls, errors, p95, over.minutes * 60.0)
        if (place := _place(minute, over)) is not None and value is not None:
            values[place] = value
    return [Series((route,), values) for route, values in found.items()]


def of_quotas(rows: Iterable[tuple[str | None, str, int, float]], over: Span) -> list[Series]:
    """Make one series for each quota of each authority; a step without calls tells nothing of it."""
    found: dict[tuple[str | None, str], Floats] = {}
    for authority, quota, minute, used in rows:
        values = found.setdefault((authority, quota), np.full(over.count, np.nan))
        if (place := _place(minute, over)) is not None:
            values[place] = used
    return [Series(key, values) for key, values in found.items()]


def _idle(known: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], metric: Metric) -> Floats:
    return np.where(known, np.nan if metric.idle is None else metric.idle, np.nan)


def _place(minute: int, over: Span) -> int | None:
    place = (minute - over.first) // over.minutes
    return place if 0 <= place < over.count else None
