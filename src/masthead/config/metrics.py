"""The settings of the Prometheus endpoint (`[prometheus]`) and of metrics of the user's own (`[[metrics]]`)."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from masthead.config.section import Many, Section

# https://prometheus.io/docs/concepts/data_model/ and, for the endings, OpenMetrics 1.0, section 5.3.
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ENDINGS = ("_total", "_bucket", "_count", "_sum", "_created", "_info")
_TAKEN = ("http_", "masthead_", "process_", "python_")
_FIXED_LABELS = frozenset({"le", "quantile", "job", "instance"})
_MOST_LABELS = 8
_LOOPBACK = "127.0.0.1"


def listen_address(text: str) -> tuple[str, int]:
    """Read `host:port`; without a host it is the loopback address.

    Raises:
        ValueError: It is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) < 65_536:  # noqa: PLR2004 - a port
        message = 'should be an address and a port such as "127.0.0.1:9464", or ":9464" for this machine alone'
        raise ValueError(message)
    return host.removeprefix("[").removesuffix("]") or _LOOPBACK, int(port)


def _listen(text: str) -> str:
    if text:
        listen_address(text)
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or text.startswith("__"):
        message = "should be letters, digits and _, not beginning with a digit"
        raise ValueError(message)
    return text


def _own_name(text: str) -> str:
    _name(text)
    if text.startswith(_TAKEN):
        message = f"should not begin with {', '.join(_TAKEN[:-1])} or {_TAKEN[-1]}, which are masthead's own"
        raise ValueError(message)
    return text


Listen: TypeAlias = Annotated[str, AfterValidator(_listen)]
Name: TypeAlias = Annotated[str, AfterValidator(_name)]
OwnName: TypeAlias = Annotated[str, AfterValidator(_own_name)]
Key: TypeAlias = Annotated[str, Field(min_length=1)]


class Prometheus(Section):
    """Where metrics can be read, by whom, and how many there may be; a change needs a restart."""

    listen: Listen = ""
    cert_file: str = ""
    key_file: str = ""
    bearer_token_file: str = ""
    basic_auth_file: str = ""
    max_label_sets: Annotated[int, Field(ge=10, le=100_000)] = 1_000
    inferred_routes: bool = True

    @model_validator(mode="after")
    def _files_go_together(self) -> Self:
        if bool(self.cert_file) != bool(self.key_file):
            message = "cert_file and key_file go together"
            raise ValueError(message)
        if self.bearer_token_file and self.basic_auth_file:
            message = "bearer_token_file and basic_auth_file exclude each other"
            raise ValueError(message)
        return self


class UserMetric(Section):
    """A metric made of columns and header fields."""

    name: OwnName
    kind: Literal["counter", "gauge", "histogram"] = "counter"
    from_: Annotated[str, Field(alias="from")] = ""
    labels: Annotated[dict[Name, Key], Field(default_factory=dict)]
    help: str = ""
    buckets: Many[float] = ()
    role: Literal["server", "client", "both"] = "server"

    @model_validator(mode="after")
    def _parts_go_together(self) -> Self:
        base = self.base
        problem = ""
        if base.endswith(_ENDINGS) or (self.kind != "counter" and base != self.name):
            problem = f'name "{self.name}" has an ending that belongs to the format; leave it out'
        elif self.kind != "counter" and not self.from_:
            problem = f'a {self.kind} needs from, such as from = "response.header.x-cost"'
        elif bool(self.buckets) != (self.kind == "histogram"):
            problem = "buckets are what a histogram needs, and nothing else has"
        elif list(self.buckets) != sorted(set(self.buckets)):
            problem = "buckets must rise"
        elif len(self.labels) > _MOST_LABELS or _FIXED_LABELS & set(self.labels):
            problem = f"at most {_MOST_LABELS} labels, and none of {', '.join(sorted(_FIXED_LABELS))}"
        if problem:
            raise ValueError(problem)
        return self

    @property
    def base(self) -> str:
        """Its name without the `_total` of a counter."""
        return self.name.removesuffix("_total")


def distinct_metrics(metrics: tuple[UserMetric, ...]) -> tuple[UserMetric, ...]:
    """Give the metrics back.

    Raises:
        PydanticCustomError: Two have the same name.
    """
    names = [metric.base for metric in metrics]
    for name in names:
        if names.count(name) > 1:
            raise PydanticCustomError("repeated", 'two [[metrics]] are called "{name}"', {"name": name})
    return metrics
