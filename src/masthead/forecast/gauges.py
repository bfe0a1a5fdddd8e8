"""Forecasts as samples for a metrics page, to be refreshed now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.forecast.ask import Ask, read
from masthead.forecast.outlook import Outlook, outlooks
from masthead.forecast.rows import hour_ahead
from masthead.query.questions.scope import Scope
from masthead.samples import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from masthead.query.open import Reader

_HISTORY_NS = 28 * 86_400 * 1_000_000_000
# Label and hours from now to the begin of the hour that it tells of.
HORIZONS = {"1h": 0, "24h": 23}
# By metric: the sample's name, what it is and what its value is multiplied with: metrics are in base units.
_NAMES = {
    "rate": ("masthead_forecast_requests_per_second", "Expected calls a second", 1.0),
    "p95": ("masthead_forecast_request_duration_p95_seconds", "Expected 95th percentile of the duration", 0.001),
    "errors": ("masthead_forecast_error_ratio", "Expected share of calls that fail (5xx and no answer)", 1.0),
    "quota": ("masthead_forecast_quota_used_ratio", "Expected share of a quota that is used", 1.0),
}
_BREAK = "masthead_forecast_seconds_to_break"
_BREAK_HELP = "Seconds until a limit is expected to break; absent where it is not within the time looked at"


class Gauges:
    """Makes samples of forecasts.

    A forecast takes about half a second of CPU for each route: refresh once an hour, and not where rows are written.

    Args:
        clock_ns: Gives the time, nanoseconds since 1970.
        metrics: Which to forecast: `rate`, `p95`, `errors`, `quota`.
        slos: Limits, such as `error_ratio < 0.01`; a limit's metric is forecast in any case.
        routes: At most so many of the most called routes: each is a label value of its own.
        ahead_hours: How far to look for the limits.

    Raises:
        UsageError: There is no such metric or limit.
    """

    def __init__(
        self,
        clock_ns: Callable[[], int],
        metrics: Sequence[str] = ("rate", "p95", "errors", "quota"),
        slos: Sequence[str] = (),
        routes: int = 20,
        ahead_hours: float = 72.0,
    ) -> None:
        self._clock_ns = clock_ns
        self._routes = routes
        self._ahead_hours = ahead_hours
        limited = [read("", slo, Scope(role=""), 0).metric for slo in slos]
        self._asked = [*zip(limited, slos, strict=True), *((name, "") for name in metrics if name not in limited)]
        for metric, slo in self._asked:
            self._ask(metric, slo)

    def samples(self, reader: Reader) -> Iterator[Reading]:
        """Forecast, and give what is known; what is not known has no sample.

        Each metric is three gauges: as expected, and with `_lower` and `_upper` the 80 % interval. Labels: `http_route`
        (of quotas `server_address` and `quota`), `horizon` (`1h`: the next hour, `24h`: the hour that ends in about a
        day); of `masthead_forecast_seconds_to_break`: `slo`.

        Raises:
            QueryError: The store can't answer.
        """
        told: set[tuple[str, str]] = set()
        for metric, slo in self._asked:
            for outlook in outlooks(reader, self._ask(metric, slo)):
                labels = _labels(outlook)
                # A metric with two limits is forecast twice, and told once.
                if (place := (metric, str(sorted(labels.items())))) not in told:
                    told.add(place)
                    yield from _values(metric, outlook, labels)
                breaks = outlook.breaks_ns()
                if outlook.limit is not None and breaks is not None:
                    seconds = (breaks - outlook.now_ns) / 1e9
                    yield Reading(_BREAK, _BREAK_HELP, {**labels, "slo": str(outlook.limit)}, seconds)

    def _ask(self, metric: str, slo: str) -> Ask:
        now = self._clock_ns()
        scope = Scope(since_ns=max(0, now - _HISTORY_NS), role="", limit=self._routes)
        return read(metric, slo, scope, now, ahead_hours=self._ahead_hours)


def _labels(outlook: Outlook) -> dict[str, str]:
    names = ("server_address", "quota") if outlook.metric.name == "quota_used" else ("http_route",)
    return {name: value or "" for name, value in zip(names, outlook.series.key, strict=True)}


def _values(metric: str, outlook: Outlook, labels: dict[str, str]) -> Iterator[Reading]:
    name, text, factor = _NAMES[metric]
    for horizon, hours in HORIZONS.items():
        found = hour_ahead(outlook, hours)
        for suffix, which, value in zip(("", "_lower", "_upper"), ("", ", lower", ", upper"), found, strict=True):
            if value is not None:
                said = f"{text}{which}" + (" end of the 80% interval" if which else "")
                yield Reading(f"{name}{suffix}", said, {**labels, "horizon": horizon}, value * factor)
