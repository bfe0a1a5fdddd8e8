"""The settings, section by section, and what makes each one valid."""

from __future__ import annotations

import ipaddress
import mmap
import re
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from masthead.config.alerts import Alerts
from masthead.config.forecast import Forecasts
from masthead.config.metrics import Prometheus, UserMetric, distinct_metrics
from masthead.config.section import Age, HeaderForm, Many, Pattern, Room, Section, Size
from masthead.config.sinks import Sink, sink_name
from masthead.config.templates import distinct_templates, valid_template

MAX_HEAD_BYTES = 262_144
# Where questions are asked when the settings name no store.
DEFAULT_STORE = "/var/lib/masthead/store"
MAX_RING_BYTES = 1 << 30
_STATUS = re.compile(r"[1-9]xx|[1-9][0-9]{2}(-[1-9][0-9]{2})?")


def _ring_bytes(value: int) -> int:
    if value < mmap.PAGESIZE or value & (value - 1):
        message = f"should be a power of two and at least one page ({mmap.PAGESIZE})"
        raise ValueError(message)
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        message = 'should be an address or a range of addresses such as "10.0.0.0/8"'
        raise ValueError(message) from None


def _status(value: str) -> str:
    if not _STATUS.fullmatch(value):
        message = 'should be a status such as "404", a class such as "5xx" or a range such as "200-299"'
        raise ValueError(message)
    return value


Port: TypeAlias = Annotated[int, Field(ge=1, le=65_535)]
Status: TypeAlias = Annotated[str, AfterValidator(_status)]
Template: TypeAlias = Annotated[str, AfterValidator(valid_template)]
Network: TypeAlias = Annotated[str, AfterValidator(_network)]


class Capture(Section):
    """Which connections are captured, and with how much memory; a change needs a restart."""

    cgroups: Many[Pattern] = ()
    ports: Many[Port] = ()
    role: Literal["both", "server", "client"] = "both"
    processes: Many[Pattern] = ()
    ring_bytes: Annotated[int, AfterValidator(_ring_bytes), Field(le=MAX_RING_BYTES)] = 16 << 20
    max_head_bytes: Annotated[int, Field(ge=512, le=MAX_HEAD_BYTES)] = 16_384


class Tls(Section):
    """Whose TLS is looked into, by probes in the library that the process uses; a change needs a restart.

    Attributes:
        enabled: Off: no probe anywhere.
        listening: Every process that holds a listening TCP socket.
        processes: Patterns of the names or executables of more processes, as of clients.
    """

    enabled: bool = True
    listening: bool = True
    processes: Many[Pattern] = ()


class Selection(Section):
    """Which fields of one direction are logged: those allowed and not denied."""

    allow: Many[Pattern] = ("*",)
    deny: Many[Pattern] = ()


class Scope(Section):
    """Another selection for the calls of a host or path; the first scope that matches counts."""

    host: Pattern | None = None
    path: Pattern | None = None
    request: Selection | None = None
    response: Selection | None = None


class Redact(Section):
    """Which values leave only as pseudonyms, besides those that always do."""

    enabled: bool = True
    fields: Many[Pattern] = ()
    query: Many[Pattern] = ()
    key_file: str = ""


class Filter(Section):
    """Which exchanges are logged; an empty list lets all pass."""

    hosts: Many[Pattern] = ()
    not_hosts: Many[Pattern] = ()
    paths: Many[Pattern] = ()
    not_paths: Many[Pattern] = ()
    ports: Many[Port] = ()
    not_ports: Many[Port] = ()
    processes: Many[Pattern] = ()
    not_processes: Many[Pattern] = ()
    statuses: Many[Status] = ()


class Sample(Section):
    """How many of the exchanges are logged; each row carries its weight."""

    rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    keep_errors: bool = True


class Routes(Section):
    """By which templates calls are grouped, and whether the others get one from the shape of their path."""

    templates: Annotated[Many[Template], AfterValidator(distinct_templates)] = ()
    infer: bool = True


class Forwarded(Section):
    """Whose word on the client's address is taken (X-Forwarded-For, Forwarded)."""

    trusted_hops: Many[Network] = ()


class Output(Section):
    """Where rows go and in which form."""

    format: Literal["ndjson", "table", "none"] = "ndjson"
    headers: HeaderForm = "object"
    file: str = ""
    tail_socket: str = "/run/masthead/tail.sock"


class Store(Section):
    """Where rows are kept, and how soon they are safe from a power cut; a change needs a restart."""

    path: str = ""
    sync_ms: Annotated[int, Field(ge=10, le=60_000)] = 200
    host: str = ""
    password_file: str = ""
    ca_file: str = ""


class Delivery(Section):
    """Where rows wait that a server elsewhere can't take now, and how many; a change needs a restart."""

    spool: str = "/var/lib/masthead/spool"
    spool_bytes: Size = "2GB"


class Retention(Section):
    """How long each class of rows is kept, and how much of them."""

    default: Age = "14d"
    errors: Age = "90d"
    static: Age = "1d"
    max_bytes: Size = ""
    min_free: Room = "5%"


class RowClass(Filter):
    """A class of rows with an age of its own: the calls that its conditions keep, or that have one of its marks."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    keep: Age
    marks: Many[Pattern] = ()

    def calls(self) -> dict[str, object] | None:
        """Give the conditions, as `[filter]` has them; `None` where there are only marks."""
        conditions = self.model_dump(mode="json", exclude={"name", "keep", "marks"})
        return conditions if any(conditions.values()) else None


class Query(Section):
    """How much a query may take."""

    memory: Size = "1GB"
    timeout: Age = "5m"
    threads: Annotated[int, Field(ge=0, le=1024)] = 0


class Config(Section):
    """All settings."""

    capture: Capture = Capture()
    tls: Tls = Tls()
    request: Selection = Selection()
    response: Selection = Selection()
    scope: Many[Scope] = ()
    redact: Redact = Redact()
    filter: Filter = Filter()
    sample: Sample = Sample()
    routes: Routes = Routes()
    forwarded: Forwarded = Forwarded()
    output: Output = Output()
    store: Store = Store()
    delivery: Delivery = Delivery()
    sink: Many[Sink] = ()
    forecast: Forecasts = Forecasts()
    prometheus: Prometheus = Prometheus()
    metrics: Annotated[Many[UserMetric], AfterValidator(distinct_metrics)] = ()
    retention: Retention = Retention()
    class_: Annotated[Many[RowClass], Field(alias="class")] = ()
    query: Query = Query()
    alerts: Alerts = Alerts()

    @model_validator(mode="after")
    def _classes_are_told_apart(self) -> Self:
        names = [kind.name for kind in self.class_]
        for name in names:
            if name in type(self.retention).model_fields or names.count(name) > 1:
                message = f'[[class]] name "{name}" is taken; each class needs a name of its own'
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _sinks_are_told_apart(self) -> Self:
        names = ["store", *(sink_name(sink) for sink in self.sink)]
        for name in names:
            if names.count(name) > 1:
                message = f'two [[sink]] tables are called "{name}"; give each a name of its own (name = "...")'
                raise ValueError(message)
        return self
