"""The tables of the extension as families of prometheus-client, anew for each scrape."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from masthead.metrics import listed, quotas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.core import Metric as Family

    from masthead.metrics.tables import Measured, Table
    from masthead.samples import Metric


class Counts(Protocol):
    """What `_native.Tally` gives to readers."""

    def snapshot(self) -> str:
        """Give all tables."""


def family(metric: Metric) -> Family:
    """Make an empty family."""
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
    made: Family = kinds[metric.kind](metric.name, metric.sentence, labels=metric.labels, unit=metric.unit)
    return made


class CallsCollector:
    """Calls, the user's own metrics and quotas.

    Args:
        tally: Counts the tables.
        tables: What is made of which table.

    Attributes:
        tables: The same.
    """

    def __init__(self, tally: Counts, tables: Sequence[Table]) -> None:
        self.tables = tuple(tables)
        self._tally = tally

    def found(self) -> dict[str, Any]:
        """Give what all tables hold now, by their names."""
        tables: dict[str, Any] = json.loads(self._tally.snapshot())["tables"]
        return tables

    def collect(self) -> Iterator[Family]:
        """Give all families as of now."""
        found = self.found()
        for table in self.tables:
            for measured in table.measured:
                yield _family(measured, found[table.name]["groups"])
        yield from self.rest(found)

    def rest(self, found: Mapping[str, Any]) -> Iterator[Family]:
        """Give what there is besides the tables of calls: quotas, and what could not be counted."""
        overflow, unreadable = family(listed.OVERFLOW), family(listed.UNREADABLE)
        for table in self.tables:
            counted = found[table.name]
            for measured in table.measured:
                name = [measured.metric.exposed]
                overflow.add_metric(name, counted["overflow"]["calls"])  # type: ignore[attr-defined]
                if measured.measure is not None:
                    lost = sum(group["measures"][measured.measure]["unreadable"] for group in counted["groups"])
                    unreadable.add_metric(name, lost)  # type: ignore[attr-defined]
        counted = found[quotas.TABLE]
        yield from _quotas(quotas.read(counted))
        overflow.add_metric([quotas.TABLE], counted["overflow"]["calls"])  # type: ignore[attr-defined]
        unreadable.add_metric([quotas.TABLE], quotas.unreadable(counted))  # type: ignore[attr-defined]
        yield from (overflow, unreadable)


def _family(measured: Measured, groups: Sequence[Mapping[str, Any]]) -> Family:
    metric, place = measured.metric, measured.measure
    made = family(metric)
    for group in groups:
        labels = dict(zip(metric.labels, (key or "" for key in group["keys"]), strict=True))
        measure = None if place is None else group["measures"][place]
        if metric.kind == "histogram" and measure:
            _histogram(made, measured, labels, measure)
        elif metric.kind == "counter":
            value = group["calls"] if measure is None else measure["sum"] / measured.scale
            made.add_sample(f"{metric.name}_total", labels, value)
        elif measure and measure["value"] is not None:
            made.add_sample(metric.name, labels, measure["value"] / measured.scale)
    return made


def _histogram(made: Family, measured: Measured, labels: dict[str, str], measure: Mapping[str, Any]) -> None:
    counts = list(accumulate(measure["counts"]))
    # A group whose rows all lack the value is none: a call without a response has no size of it.
    if not counts[-1]:
        return
    bounds = [*map(floatToGoString, measured.bounds), "+Inf"]
    exemplars = measure.get("exemplars") or [None] * len(counts)
    name = measured.metric.name
    for bound, count, exemplar in zip(bounds, counts, exemplars, strict=True):
        made.add_sample(f"{name}_bucket", {**labels, "le": bound}, count, None, _exemplar(exemplar, measured.scale))
    made.add_sample(f"{name}_count", labels, counts[-1])
    made.add_sample(f"{name}_sum", labels, measure["sum"] / measured.scale)


def _exemplar(exemplar: Mapping[str, Any] | None, scale: float) -> Exemplar | None:
    if exemplar is None:
        return None
    trace = {"trace_id": exemplar["trace_id"], "span_id": exemplar["span_id"]}
    time_ns = exemplar["time_ns"]
    return Exemplar(trace, exemplar["value"] / scale, None if time_ns is None else time_ns / 1e9)


def _quotas(found: Mapping[tuple[str, str, str, str], quotas.Quota]) -> Iterable[Family]:
    metrics: tuple[tuple[Metric, Callable[[quotas.Quota], float | None]], ...] = (
        (listed.RATELIMIT_LIMIT, lambda quota: quota.values.get("limit")),
        (listed.RATELIMIT_REMAINING, lambda quota: quota.values.get("remaining")),
        (listed.RATELIMIT_RATIO, lambda quota: quota.ratio),
        (listed.RATELIMIT_RESET, lambda quota: quota.values.get("reset")),
        (listed.RATELIMIT_SEEN, lambda quota: quota.seen_ns / 1e9),
    )
    for metric, value_of in metrics:
        made = family(metric)
        for labels, quota in sorted(found.items()):
            value = value_of(quota)
            if value is not None:
                made.add_sample(metric.name, dict(zip(metric.labels, labels, strict=True)), value)
        yield made
