"""What can be measured, by which keys, and over which columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

# A parameter is `key` (any key), `header` (of a message), `column` (a quantity), `class` (`"5xx"`, `"404"`), `measure`,
# or the name of a number; one that ends in `?` can be left out, and numbers are then given by name.
Parameters: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A measure that the language knows.

    Attributes:
        parameters: What stands in its brackets.
        alarms: Whether it is a condition by itself, having a value only where something is amiss.
        sentence: What its value is.
    """

    parameters: Parameters
    sentence: str
    alarms: bool = False


CATALOGUE: Mapping[str, Kind] = {
    "calls": Kind((), "Calls that ended in the range; sampled ones count as many as they stand for."),
    "error_ratio": Kind((), "Share of the calls that failed: 5xx, reset, or no response."),
    "status_ratio": Kind(("class",), "Share of a status or class among the calls whose status is known."),
    "slow_ratio": Kind(("seconds",), "Share of the calls that took longer, of those whose duration is known."),
    "missing": Kind(("header",), "Share of the calls without the field."),
    "present": Kind(("header",), "Share of the calls with the field."),
    "quantile": Kind(("share", "column"), "A quantile of a column, from a histogram."),
    "average": Kind(("column",), "Mean of a column."),
    "sum": Kind(("column",), "Sum of a column."),
    "min": Kind(("key",), "Smallest number that the key had."),
    "max": Kind(("key",), "Largest number that the key had."),
    "last": Kind(("key",), "Number that the key had last."),
    "spike": Kind(
        ("measure",), "How many times the expected value, where that is far above what is usual.", alarms=True
    ),
    "drop": Kind(("measure",), "Share of the expected value, where that is far below what is usual.", alarms=True),
    "deviation": Kind(("measure",), "Distance from the expected value, in usual spreads; negative below it."),
    "expected": Kind(("measure",), "What is expected at this hour of the week."),
    "new_values": Kind(
        ("header", "learn?"),
        "1 for each value that was never seen before the range; the value is a label.",
        alarms=True,
    ),
    "gone_values": Kind(
        ("header", "learn?"), "Calls that should have carried a value that is gone; the value is a label.", alarms=True
    ),
    "absent": Kind(("measure",), "1 where there was no call at all.", alarms=True),
    "burn_rate": Kind(("slo", "slow?"), "How many times faster than allowed the error budget is spent."),
    "ledger_lost": Kind((), "Records and rows that masthead itself lost; `by (loss)` tells them apart."),
}
# What `spike`, `drop`, `deviation` and `expected` can look at.
BASELINED = frozenset(
    (
        *("calls", "error_ratio", "status_ratio", "slow_ratio", "missing", "present"),
        *("quantile", "average", "sum"),
    )
)

SECOND_NS = 1_000_000_000
# Column of the row, and what one unit of the language is in it.
COLUMNS: Mapping[str, tuple[str, float]] = {
    "duration": ("duration_ns", SECOND_NS),
    "ttfb": ("ttfb_ns", SECOND_NS),
    "head_spread": ("head_spread_ns", SECOND_NS),
    "request_head_bytes": ("request_head_bytes", 1),
    "request_body_bytes": ("request_body_bytes", 1),
    "response_head_bytes": ("response_head_bytes", 1),
    "response_body_bytes": ("response_body_bytes", 1),
}
KEYS = (
    *(
        "route",
        "method",
        "status",
        "grpc_status",
        "status_class",
        "error_type",
        "authority",
        "role",
        "source",
        "protocol",
        "tls_version",
        "tls_library",
        "scheme",
        "route_source",
    ),
    *("client_address", "server_address", "server_port", "forwarded_client"),
    *("process_executable", "cgroup", "container_id"),
)
HEADER = re.compile(r"(request|response)\.header\.([a-z0-9!#$%&'*+.^_`|~-]+)")
STATUS = re.compile(r"[1-9]xx|[1-9][0-9]{2}")


def label(key: str) -> str:
    """Give a key's name as a label: Prometheus' labels have letters, digits and `_` only."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", key)
