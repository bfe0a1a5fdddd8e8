"""Outlooks as rows: a line for each series, or each of its points."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from masthead.forecast.outlook import Outlook, outlooks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masthead.forecast.ask import Ask
    from masthead.query.open import Reader

Row = tuple[Any, ...]

_DAY_HOURS = 24
_LEVEL = 0.80
_WIDE = 0.95
SUMMARY = (
    *("metric", "now", "next_hour", "next_hour_lower", "next_hour_upper"),
    *("next_day", "next_day_lower", "next_day_upper", "slo", "breaks_at", "breaks_earliest", "changes", "shape"),
)
POINTS = ("metric", "time", "expected", "lower_80", "upper_80", "lower_95", "upper_95")


def keys(metric: str) -> tuple[str, ...]:
    """Give the columns that say which series a row is of."""
    return ("authority", "quota") if metric == "quota" else ("route",)


def summary(outlook: Outlook) -> Iterator[Row]:
    """Give one row: `SUMMARY` behind the series' key.

    The next hour begins with the first step that begins after now. Its interval is of 80 %, as is the one of the next
    day (the mean of its 24 hours; of a quota the most). `breaks_earliest` is when the 95 % interval touches the limit.
    Null: not known; `changes` and all times as text.
    """
    forecast = outlook.forecast
    changes = [time_text(outlook.over.begin_ns(step)) for step in forecast.changes]
    limit = None if outlook.limit is None else str(outlook.limit)
    yield (
        *outlook.series.key,
        outlook.metric.name,
        outlook.now,
        *_hour(outlook),
        *_day(outlook),
        limit,
        _time(outlook.breaks_ns()),
        _time(outlook.breaks_ns(_WIDE)),
        changes,
        "not enough history" if forecast.method == "none" else forecast.method,
    )


def points(outlook: Outlook) -> Iterator[Row]:
    """Give a row for each step ahead: `POINTS` behind the series' key."""
    forecast = outlook.forecast
    bounds = [side[level] for level in (_LEVEL, _WIDE) for side in (forecast.lower, forecast.upper) if side]
    for step, expected in enumerate(forecast.expected.tolist()):
        at = time_text(outlook.begin_ns(step))
        yield (*outlook.series.key, outlook.metric.name, at, expected, *(_known(bound[step]) for bound in bounds))


def table(reader: Reader, ask: Ask, *, each: bool) -> list[dict[str, object]]:
    """Forecast, and give rows by column name: a row for each step, else one for each series.

    Raises:
        QueryError: The store can't answer.
    """
    make, columns = (points, POINTS) if each else (summary, SUMMARY)
    names = (*keys(ask.metric), *columns)
    return [dict(zip(names, row, strict=True)) for outlook in outlooks(reader, ask) for row in make(outlook)]


def time_text(time_ns: int) -> str:
    """Give a time as RFC 3339 with nanoseconds, UTC."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def hour_ahead(outlook: Outlook, hours: float) -> tuple[float | None, ...]:
    """Give what is expected in the hour that begins so many hours from now, with an 80 % interval; null: not known."""
    begin = _first(outlook) + round(hours * outlook.over.hour)
    return _window(outlook, begin, outlook.over.hour)


def _hour(outlook: Outlook) -> tuple[float | None, ...]:
    return hour_ahead(outlook, 0)


def _day(outlook: Outlook) -> tuple[float | None, ...]:
    forecast, begin = outlook.forecast, _first(outlook)
    values = forecast.expected[begin : begin + _DAY_HOURS * outlook.over.hour]
    if len(values) < _DAY_HOURS * outlook.over.hour:
        return (None, None, None)
    expected = float(outlook.metric.together(values))
    return (expected, *(_known(bound) for bound in forecast.of_day(expected)))


def _window(outlook: Outlook, begin: int, count: int) -> tuple[float | None, ...]:
    forecast = outlook.forecast
    if len(forecast.expected) < begin + count:
        return (None, None, None)
    some = (forecast.expected, forecast.lower[_LEVEL], forecast.upper[_LEVEL])
    return tuple(_known(outlook.metric.together(values[begin : begin + count])) for values in some)


def _first(outlook: Outlook) -> int:
    """The first step that begins after now."""
    return next(step for step in range(outlook.over.hour * 2 + 2) if outlook.begin_ns(step) >= outlook.now_ns)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _time(time_ns: int | None) -> str | None:
    return None if time_ns is None else time_text(time_ns)
