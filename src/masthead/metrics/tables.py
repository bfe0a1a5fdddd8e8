"""What the extension is to count for each metric."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from masthead.metrics import listed, quotas
from masthead.samples import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from masthead.config import Config
    from masthead.config.metrics import UserMetric

NS = 1e9
# OpenTelemetry's advice for http.server.request.duration and http.client.request.duration.
DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
# It has none for sizes; its general ones end at 10,000, which is small for bytes.
SIZE_BOUNDS = (128.0, 1_024.0, 8_192.0, 65_536.0, 524_288.0, 4_194_304.0, 33_554_432.0)
# Recordings have no role, and hold what a server saw as often as not.
_ROLES: Mapping[str, list[str | None]] = {"server": ["server", None], "client": ["client"]}


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric made of a table.

    Attributes:
        metric: The metric.
        measure: Which of the table's measures it shows; `None` for the number of calls.
        bounds: Of a histogram, in the metric's unit.
        scale: By how much a value of the column is divided.
    """

    metric: Metric
    measure: int | None = None
    bounds: tuple[float, ...] = ()
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the extension and the metrics made of it, whose labels are its keys in order."""

    name: str
    by: tuple[str, ...]
    where: Mapping[str, Sequence[str | None]]
    measures: tuple[Mapping[str, object], ...]
    measured: tuple[Measured, ...]
    exemplar: bool = False

    def document(self, cap: int) -> dict[str, object]:
        """Give it as `_native.Tally` takes it."""
        table = {"name": self.name, "where": self.where, "by": self.by, "cap": cap}
        return {**table, "measures": self.measures, "exemplar": self.exemplar}


def tables_of(config: Config) -> list[Table]:
    """Give the tables of calls and of the user's own metrics."""
    route = "route" if config.prometheus.inferred_routes else "route_configured"
    both = ("method_known", "status")
    server = _http("server", (*both, route, "scheme", "protocol_version", "error_type"), listed.SERVER_DURATION)
    client = _http(
        "client", (*both, "origin_address", "origin_port", "protocol_version", "error_type"), listed.CLIENT_DURATION
    )
    return [server, client, *(_own(metric) for metric in config.metrics)]


def spec_json(tables: Sequence[Table], cap: int) -> str:
    """Give all tables, with that of the quotas, as `_native.Tally` takes them."""
    return json.dumps({"tables": [*(table.document(cap) for table in tables), quotas.document(min(cap, quotas.MOST))]})


def _http(role: str, by: tuple[str, ...], duration: Metric) -> Table:
    server = duration is listed.SERVER_DURATION
    size = (
        (listed.SERVER_REQUEST_SIZE, listed.SERVER_RESPONSE_SIZE)
        if server
        else (
            listed.CLIENT_REQUEST_SIZE,
            listed.CLIENT_RESPONSE_SIZE,
        )
    )
    ttfb = listed.SERVER_TTFB if server else listed.CLIENT_TTFB
    measured = (
        Measured(duration, 0, DURATION_BOUNDS, NS),
        Measured(size[0], 1, SIZE_BOUNDS),
        Measured(size[1], 2, SIZE_BOUNDS),
        Measured(ttfb, 3, DURATION_BOUNDS, NS),
    )
    columns = ("duration_ns", "request_body_bytes", "response_body_bytes", "ttfb_ns")
    measures = tuple(_histogram(column, one) for column, one in zip(columns, measured, strict=True))
    return Table(f"http_{role}", by, {"role": _ROLES[role]}, measures, measured, exemplar=True)


def _histogram(column: str, measured: Measured) -> dict[str, object]:
    return {"histogram": column, "bounds": [bound * measured.scale for bound in measured.bounds]}


def _own(user: UserMetric) -> Table:
    """Columns of nanoseconds leave as seconds, which is what Prometheus counts in."""
    scale = NS if user.from_.endswith("_ns") else 1.0
    metric = Metric(user.base, user.kind, tuple(user.labels), user.help or f"From {user.from_ or 'calls'}.")
    measured = Measured(metric, 0 if user.from_ else None, user.buckets, scale)
    measures: tuple[Mapping[str, object], ...] = ()
    if user.from_:
        kinds = {"counter": "sum", "gauge": "last"}
        measures = (
            (_histogram(user.from_, measured),) if user.kind == "histogram" else ({kinds[user.kind]: user.from_},)
        )
    where = {} if user.role == "both" else {"role": _ROLES[user.role]}
    return Table(f"user:{user.base}", tuple(user.labels.values()), where, measures, (measured,), exemplar=True)
