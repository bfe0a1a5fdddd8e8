"""The same metrics as OpenTelemetry's protocol has them, for whoever wants them pushed.

Source: opentelemetry-proto 1.x, `collector/metrics/v1` and `metrics/v1`; names and units of the HTTP metrics are those
of the semantic conventions 1.44. Counters and histograms are cumulative, from the start of masthead on.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from masthead.errors import NotSupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client.core import Metric as Family
    from prometheus_client.registry import Collector

# `AggregationTemporality` of metrics/v1.
_CUMULATIVE = 2
_UNITS = {"seconds": "s", "bytes": "By"}
_LABELS = (
    *("http_request_method", "http_response_status_code", "http_route", "url_scheme", "network_protocol_version"),
    *("error_type", "server_address", "server_port"),
)
ATTRIBUTES = {name: name.replace("_", ".").replace("status.code", "status_code") for name in _LABELS}
_TELL_SECONDS = 60.0
# So long the last push may take: who stops masthead waits for it.
_LAST_SECONDS = 5.0


class Writer:
    """Writes requests.

    Args:
        resource: Attributes of the resource.
        start_ns: Since when is counted, nanoseconds since 1970.

    Raises:
        NotSupportedError: The library is not installed.
    """

    def __init__(self, resource: Mapping[str, str], start_ns: int) -> None:
        try:
            from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2  # noqa: PLC0415 - optional
        except ImportError as error:
            remedy = "pip install 'masthead[otlp]'"
            raise NotSupportedError("pushing metrics needs the library opentelemetry-proto", remedy=remedy) from error
        self._request: Any = metrics_service_pb2.ExportMetricsServiceRequest
        self._resource = resource
        self._start_ns = start_ns

    def write(self, families: Iterable[Family], now_ns: int) -> bytes:
        """Give an `ExportMetricsServiceRequest`."""
        request = self._request()
        found = request.resource_metrics.add()
        for name, value in self._resource.items():
            found.resource.attributes.add(key=name).value.string_value = value
        scope = found.scope_metrics.add()
        scope.scope.name = "masthead"
        for family in families:
            if family.samples:
                self._family(scope.metrics.add(), family, now_ns)
        return bytes(request.SerializeToString())

    def _family(self, metric: Any, family: Family, now_ns: int) -> None:  # noqa: ANN401 - a message of protobuf
        metric.name, metric.description = dotted(family.name), family.documentation
        metric.unit = next((unit for word, unit in _UNITS.items() if family.name.endswith(f"_{word}")), "")
        if family.type == "histogram":
            metric.histogram.aggregation_temporality = _CUMULATIVE
            self._histograms(metric.histogram.data_points, family, now_ns)
            return
        points = metric.gauge.data_points
        if family.type == "counter":
            metric.sum.aggregation_temporality, metric.sum.is_monotonic = _CUMULATIVE, True
            points = metric.sum.data_points
        for sample in family.samples:
            point = points.add(time_unix_nano=now_ns, start_time_unix_nano=self._start_ns, as_double=sample.value)
            _attributes(point, sample.labels)

    def _histograms(self, points: Any, family: Family, now_ns: int) -> None:  # noqa: ANN401 - likewise
        series: dict[tuple[tuple[str, str], ...], Any] = {}
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "le"}
            key = tuple(sorted(labels.items()))
            if key not in series:
                series[key] = points.add(time_unix_nano=now_ns, start_time_unix_nano=self._start_ns)
                _attributes(series[key], labels)
            _fill(series[key], sample.name, sample.labels.get("le", ""), sample.value)


def _fill(point: Any, name: str, bound: str, value: float) -> None:  # noqa: ANN401 - a message of protobuf
    """Put one sample into its point; buckets come in rising order, each with all below it."""
    if name.endswith("_sum"):
        point.sum = value
    elif name.endswith("_count"):
        point.count = round(value)
    else:
        point.bucket_counts.append(round(value) - sum(point.bucket_counts))
        if bound != "+Inf":
            point.explicit_bounds.append(float(bound))


def dotted(name: str) -> str:
    """Give a metric's name as the conventions have it."""
    if not name.startswith("http_"):
        return name.replace("_", ".", 1) if name.startswith("masthead_") else name
    for word in _UNITS:
        name = name.removesuffix(f"_{word}")
    return name.replace("_", ".")


def _attributes(point: Any, labels: Mapping[str, str]) -> None:  # noqa: ANN401 - a message of protobuf
    for name, value in labels.items():
        if value:
            point.attributes.add(key=ATTRIBUTES.get(name, name)).value.string_value = value


class Push:
    """Pushes at an interval, and once more at the end.

    Args:
        registry: Gives the families.
        writer: Writes them.
        export: Sends a request; gives what went wrong, or nothing.
        seconds: Between two.
        tell: Takes a message for the user.
        clock_ns: The time, nanoseconds since 1970.
    """

    def __init__(  # noqa: PLR0913 - each is a seam of its own
        self,
        registry: Collector,
        writer: Writer,
        export: Callable[[bytes], str],
        *,
        seconds: float,
        tell: Callable[[str], None],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._registry = registry
        self._writer = writer
        self._export = export
        self._seconds = seconds
        self._tell = tell
        self._clock_ns = clock_ns
        self._told_at = -_TELL_SECONDS
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="masthead-push", daemon=True)
        self._thread.start()

    def push(self) -> None:
        """Push what is counted now; a push that fails is made good by the next, since all is counted from the start."""
        try:
            problem = self._export(self._writer.write(self._registry.collect(), self._clock_ns()))
        except Exception as error:  # noqa: BLE001 - a push that stops for ever in silence would be worse
            problem = f"a defect: {type(error).__name__}: {error}"
        if problem and time.monotonic() - self._told_at >= _TELL_SECONDS:
            self._told_at = time.monotonic()
            self._tell(f"metrics could not be pushed: {problem}; trying again in {self._seconds:g} s")

    def close(self) -> None:
        """Push for the last time; a collector that does not answer holds the end up for a few seconds at most."""
        self._stop.set()
        self._thread.join(_LAST_SECONDS)
        if self._thread.is_alive():
            self._tell("the last metrics may not have been pushed: no answer yet")

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self.push()
        self.push()
