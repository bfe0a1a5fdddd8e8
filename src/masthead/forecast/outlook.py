"""From an open store to forecasts: asks for the history, makes series of it, and looks ahead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from masthead.forecast.limits import Limit
from masthead.forecast.model import predict
from masthead.forecast.series import METRICS, MINUTE_NS, of_quotas, of_routes, span
from masthead.query.questions.history import alive, history, quotas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from masthead.forecast.ask import Ask
    from masthead.forecast.model import Forecast
    from masthead.forecast.series import Metric, Series, Span
    from masthead.query.open import Reader

Watch: TypeAlias = "Callable[[float | None], None]"
# A quota breaks when it is used up.
_USED_UP = Limit("quota_used", "<", 1.0)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one series did, and what it will do.

    Attributes:
        series: What it did.
        over: When that was.
        metric: Of what.
        forecast: What comes; its first step follows the last one of the history.
        limit: What should hold.
        now_ns: The end of the history.
    """

    series: Series
    over: Span
    metric: Metric
    forecast: Forecast
    limit: Limit | None
    now_ns: int

    @property
    def now(self) -> float | None:
        """The last value, where it is known."""
        last = self.series.values[-1] if len(self.series.values) else np.nan
        return None if np.isnan(last) else float(last)

    def begin_ns(self, step: int) -> int:
        """Give the begin of a step ahead, nanoseconds since 1970."""
        return self.over.begin_ns(self.over.count + step)

    def breaks_ns(self, level: float | None = None) -> int | None:
        """Tell when the limit breaks, nanoseconds since 1970; `None`: not in the time looked at, or not known.

        Args:
            level: `None`: as expected; else as early as an interval of this level allows.
        """
        if self.limit is None:
            return None
        if self.limit.breaks(self.series.values[-1:]) is not None:
            return self.now_ns
        bound = self.forecast.upper if self.limit.upper else self.forecast.lower
        values = self.forecast.expected if level is None else bound.get(level, np.zeros(0))
        place = self.limit.breaks(values)
        return None if place is None else max(self.now_ns, self.begin_ns(place))


def outlooks(reader: Reader, ask: Ask, watch: Watch | None = None) -> Iterator[Outlook]:
    """Forecast each series of a metric, the most called route first.

    Raises:
        QueryError: The store can't answer.
    """
    ask = replace(ask, scope=replace(ask.scope, until_ns=ask.now_ns))
    scope = ask.scope
    moments = [minute for (minute,) in reader.ask(alive(reader.dialect, scope, ask.minutes), watch).rows()]
    over = span(moments, -(-scope.since_ns // MINUTE_NS), ask.now_ns // MINUTE_NS, ask.minutes)
    metric = METRICS[ask.metric]
    limit = ask.limit or (_USED_UP if ask.metric == "quota" else None)
    steps = _steps(ask, over)
    quota = ask.metric == "quota"
    for series in _quotas(reader, ask, over, watch) if quota else _routes(reader, ask, over, moments, watch):
        found = predict(series.values, over.steps, steps, hour=over.hour, most=metric.most, together=metric.together)
        yield Outlook(series, over, metric, found, limit, ask.now_ns)


def _steps(ask: Ask, over: Span) -> int:
    """How many steps to look ahead: the one that is not over yet comes on top."""
    end = ask.now_ns // MINUTE_NS + round(ask.ahead_hours * 60)
    return max(1, -(-(end - over.first) // over.minutes) - over.count)


def _routes(reader: Reader, ask: Ask, over: Span, moments: list[int], watch: Watch | None) -> list[Series]:
    rows = reader.ask(history(reader.dialect, ask.scope, ask.minutes), watch).rows()
    weights: dict[str | None, float] = {}
    for route, _, calls, *_ in rows:
        weights[route] = weights.get(route, 0.0) + calls
    made = of_routes(rows, moments, over, METRICS[ask.metric])
    return sorted(made, key=lambda series: -weights[series.key[0]])


def _quotas(reader: Reader, ask: Ask, over: Span, watch: Watch | None) -> list[Series]:
    return of_quotas(reader.ask(quotas(reader.dialect, ask.scope, ask.minutes), watch).rows(), over)
