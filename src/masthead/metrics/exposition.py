"""What a scrape reads, as text: the tables of calls written in one pass, all else by prometheus-client.

A thousand label sets are 90,000 lines; as objects of the library they cost ten times what writing them does.

Sources: Prometheus, "Exposition formats" (text, 0.0.4); OpenMetrics 1.0.
"""

from __future__ import annotations

import gzip
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as open_metrics
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from prometheus_client.core import Metric as Family
    from prometheus_client.registry import Collector

    from masthead.metrics.collector import CallsCollector
    from masthead.metrics.tables import Measured, Table
    from masthead.samples import Metric

_OPEN_METRICS = "application/openmetrics-text"
# Labels repeat themselves: the fastest level leaves a fiftieth.
_GZIP_LEVEL = 1
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_ESCAPES_OF_TEXT = str.maketrans({"\\": r"\\", "\n": r"\n"})
_number: Callable[[float], str] = floatToGoString


class Exposition:
    """Answers `/metrics` (WSGI).

    Args:
        calls: The tables of calls.
        others: All other families.
        library: Answers what is more than a scrape: a choice of names, other methods.
    """

    def __init__(self, calls: CallsCollector, others: Collector, library: WSGIApplication) -> None:
        self._calls = calls
        self._others = others
        self._library = library

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["REQUEST_METHOD"] != "GET" or environ.get("QUERY_STRING"):
            return self._library(environ, start_response)
        wanted = _OPEN_METRICS in environ.get("HTTP_ACCEPT", "")
        kind = open_metrics.CONTENT_TYPE_LATEST if wanted else CONTENT_TYPE_PLAIN_0_0_4
        fields, body = [("Content-Type", kind)], self.text(openmetrics=wanted)
        if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
            fields.append(("Content-Encoding", "gzip"))
            body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        start_response("200 OK", fields)
        return [body]

    def text(self, *, openmetrics: bool) -> bytes:
        """Give everything as of now."""
        found = self._calls.found()
        lines: list[str] = []
        for table in self._calls.tables:
            groups = found[table.name]["groups"]
            _table(table, groups, lines, exemplars=openmetrics)
        rest = _Families([*self._calls.rest(found), *self._others.collect()])
        return "".join(lines).encode() + _written(rest, openmetrics=openmetrics)


class _Families:
    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> list[Family]:
        return self._families


def _written(families: Any, *, openmetrics: bool) -> bytes:  # noqa: ANN401 - the library wants more of a registry than it uses
    write: Callable[[Any], bytes] = open_metrics.generate_latest if openmetrics else generate_latest
    return write(families)


def _table(table: Table, groups: Sequence[Mapping[str, Any]], lines: list[str], *, exemplars: bool) -> None:
    labels: dict[tuple[str, ...], list[str]] = {}
    for measured in table.measured:
        metric = measured.metric
        if metric.labels not in labels:
            labels[metric.labels] = [_labels(metric.labels, group["keys"]) for group in groups]
        lines.extend(_head(metric, openmetrics=exemplars))
        write = {"histogram": _histograms, "counter": _counters, "gauge": _gauges}[metric.kind]
        lines.extend(write(measured, labels[metric.labels], groups, exemplars=exemplars))


def _head(metric: Metric, *, openmetrics: bool) -> Iterator[str]:
    name = metric.name if openmetrics else metric.exposed
    sentence = metric.sentence.translate(_ESCAPES if openmetrics else _ESCAPES_OF_TEXT)
    yield f"# HELP {name} {sentence}\n"
    yield f"# TYPE {name} {metric.kind}\n"
    if openmetrics and metric.unit:
        yield f"# UNIT {name} {metric.unit}\n"


def _labels(names: Sequence[str], keys: Sequence[str | None]) -> str:
    """Give `a="b",c="d"`; a label without a value is empty, as in Prometheus' model."""
    pairs = zip(names, keys, strict=True)
    return ",".join([f'{name}="{(key or "").translate(_ESCAPES)}"' for name, key in pairs])


def _histograms(
    measured: Measured, labels: Sequence[str], groups: Sequence[Mapping[str, Any]], *, exemplars: bool
) -> Iterator[str]:
    name, scale, place = measured.metric.name, measured.scale, measured.measure
    bounds = [f'le="{bound}"}} ' for bound in (*map(_number, measured.bounds), "+Inf")]
    comma = "," if measured.metric.labels else ""
    for label, group in zip(labels, groups, strict=True):
        measure = group["measures"][place]
        counts = list(accumulate(measure["counts"]))
        # A group whose rows all lack the value is none: a call without a response has no size of it.
        if not counts[-1]:
            continue
        head = f"{name}_bucket{{{label}{comma}"
        told = measure.get("exemplars") if exemplars else None
        if told:
            ends = [_exemplar(each, scale) for each in told]
            yield "".join([f"{head}{le}{n}{end}\n" for le, n, end in zip(bounds, counts, ends, strict=True)])
        else:
            yield "".join([f"{head}{le}{n}\n" for le, n in zip(bounds, counts, strict=True)])
        series = f"{{{label}}}" if label else ""
        yield f"{name}_count{series} {counts[-1]}\n{name}_sum{series} {_number(measure['sum'] / scale)}\n"


def _exemplar(exemplar: Mapping[str, Any] | None, scale: float) -> str:
    if exemplar is None:
        return ""
    span, trace = (exemplar[name].translate(_ESCAPES) for name in ("span_id", "trace_id"))
    time = "" if exemplar["time_ns"] is None else f" {exemplar['time_ns'] / 1e9}"
    return f' # {{span_id="{span}",trace_id="{trace}"}} {_number(exemplar["value"] / scale)}{time}'


def _counters(
    measured: Measured, labels: Sequence[str], groups: Sequence[Mapping[str, Any]], *, exemplars: bool
) -> Iterator[str]:
    del exemplars
    for label, group in zip(labels, groups, strict=True):
        place = measured.measure
        value = group["calls"] if place is None else group["measures"][place]["sum"] / measured.scale
        yield _line(measured.metric.exposed, label, value)


def _gauges(
    measured: Measured, labels: Sequence[str], groups: Sequence[Mapping[str, Any]], *, exemplars: bool
) -> Iterator[str]:
    del exemplars
    for label, group in zip(labels, groups, strict=True):
        value = group["measures"][measured.measure]["value"]
        if value is not None:
            yield _line(measured.metric.name, label, value / measured.scale)


def _line(name: str, label: str, value: float) -> str:
    return f"{name}{f'{{{label}}}' if label else ''} {_number(value)}\n"
