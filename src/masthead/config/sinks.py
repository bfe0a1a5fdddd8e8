"""The settings of the sinks that send elsewhere: `[[sink]]`, one table for each, told apart by `kind`."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from masthead.config.section import HeaderForm, Section, Size
from masthead.config.units import size_bytes

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 1123, section 2.1, and what people call their hosts besides (`_`); IPv6 in brackets (RFC 3986), with a zone.
_HOST = re.compile(r"[0-9A-Za-z_]([0-9A-Za-z_.-]{0,253}[0-9A-Za-z_.])?")
_ADDRESS_6 = re.compile(r"\[[0-9A-Fa-f:.]{2,45}(%[0-9A-Za-z._-]+)?\]")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# A load is one batch, whose offsets have 32 bits.
_LARGEST_LOAD = 256_000_000
_SECRET_HEADERS = re.compile(r"authorization|cookie|api-?key|token|secret|password", re.IGNORECASE)


def _url(value: str) -> str:
    try:
        found = urlsplit(value)
        named = bool(found.scheme in {"http", "https"} and found.hostname) and (found.port or 1) > 0
    except ValueError:
        named = False
    if not named:
        message = 'should be an address such as "https://host:3100"'
        raise ValueError(message)
    if found.password or found.username:
        message = "holds a user or a password; set user and password_file, or token_file, instead"
        raise PydanticCustomError("secret", message)
    return value


def _database(value: str) -> str:
    if not re.fullmatch(r"clickhouses?://[^/@:]*@?[^/@]+(/.*)?", value) or "@" in value.partition("@")[2]:
        message = 'should be an address such as "clickhouse://user@host/database", without a password'
        raise PydanticCustomError("secret", message)
    return value


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if not _HEADER.fullmatch(name):
            message = f'"{name}" is no name of a header field'
            raise ValueError(message)
        if _SECRET_HEADERS.search(name):
            message = f'"{name}" looks like a secret, which this file is no place for; set token_file or password_file'
            raise ValueError(message)
    return value


def _labels(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if not _LABEL.fullmatch(name):
            message = f'"{name}" is no label; letters, digits and _ make one'
            raise ValueError(message)
    return value


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    named = _HOST.fullmatch(host) or _ADDRESS_6.fullmatch(host)
    if value.startswith("/") or (named and port.isdecimal() and 0 < int(port) < 65536):  # noqa: PLR2004 - a port
        return value
    message = 'should be "host:port", or the path of a socket such as "/dev/log"'
    raise ValueError(message)


def _load(value: str) -> str:
    if size_bytes(value) > _LARGEST_LOAD:
        message = "should be at most 256MB, which is more than any server takes at once"
        raise ValueError(message)
    return value


Url: TypeAlias = Annotated[str, AfterValidator(_url)]
Fields: TypeAlias = Annotated[dict[str, str], AfterValidator(_headers)]
Labels: TypeAlias = Annotated[dict[str, str], AfterValidator(_labels), Field(max_length=10)]
Place: TypeAlias = Annotated[str, AfterValidator(_address)]
LoadSize: TypeAlias = Annotated[Size, AfterValidator(_load)]


class SinkSection(Section):
    """What every sink has.

    A load is sent when it has `batch_rows` or about `batch_bytes` of them as they lie in memory, or is `batch_seconds`
    old. `memory` bytes of rows wait in memory; beyond that `behind` decides.
    """

    name: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_-]{0,31})?$")] = ""
    batch_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    batch_bytes: LoadSize = "8MB"
    batch_seconds: Annotated[float, Field(ge=0, le=3600)] = 1.0
    memory: Size = "32MB"
    behind: Literal["spool", "sample"] = "spool"
    spool: bool = True


class Secured(SinkSection):
    """What sinks have that speak TLS."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    verify: bool = True


class Web(Secured):
    """What sinks have that speak HTTP."""

    url: Url
    headers: Fields = Field(default_factory=dict)
    user: str = ""
    password_file: str = ""
    token_file: str = ""
    token_env: str = ""
    token_scheme: str = "Bearer"  # noqa: S105 - a scheme of RFC 6750
    compression: Literal["gzip", "none"] = "gzip"
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0


class Loki(Web):
    """Grafana Loki, and what takes its pushes.

    A server takes 4 MB at once as it is delivered, and as much in a second; 250 KB of rows are about 1 MB of a push.
    """

    batch_bytes: LoadSize = "250KB"
    kind: Literal["loki"]
    tenant: str = ""
    labels: Labels = Field(default_factory=dict)
    line_headers: HeaderForm = "object"


class Elasticsearch(Web):
    """Elasticsearch, OpenSearch, and what takes their bulks."""

    kind: Literal["elasticsearch", "opensearch"]
    index: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")] = "logs-masthead.http-default"
    keep: str = "30d"


class Otlp(Web):
    """Whatever takes OpenTelemetry's protocol."""

    kind: Literal["otlp"]
    protocol: Literal["http", "grpc"] = "http"
    signals: Annotated[tuple[Literal["logs", "traces", "metrics"], ...], Field(min_length=1, strict=False)] = ("logs",)
    metrics_seconds: Annotated[float, Field(ge=1, le=3600)] = 60.0
    resource: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _grpc_verifies(self) -> Self:
        if self.protocol == "grpc" and not self.verify:
            message = (
                'verify = false is not possible over gRPC; name the authority in ca_file, or set protocol = "http"'
            )
            raise ValueError(message)
        return self


class Webhook(Web):
    """Any server that takes a POST."""

    kind: Literal["webhook"]
    form: Literal["ndjson", "json"] = "ndjson"
    line_headers: HeaderForm = "object"


class Kafka(Secured):
    """A Kafka cluster."""

    kind: Literal["kafka"]
    # Its library's queue holds 200,000 messages, and a load has to fit.
    batch_rows: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    brokers: Annotated[str, Field(min_length=1)]
    topic: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")] = "masthead"
    tls: bool = False
    user: str = ""
    password_file: str = ""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "zstd"
    acks: Literal["all", "1", "0"] = "all"
    line_headers: HeaderForm = "object"


class Syslog(Secured):
    """A syslog server (RFC 5424)."""

    kind: Literal["syslog"]
    address: Place = "/dev/log"
    transport: Literal["udp", "tcp", "tls"] = "tcp"
    facility: Annotated[int, Field(ge=0, le=23)] = 16
    app: Annotated[str, Field(pattern=r"^[!-~]{1,48}$")] = "masthead"


class File(SinkSection):
    """NDJSON in a file that is rotated."""

    kind: Literal["file"]
    path: Annotated[str, Field(min_length=1)]
    line_headers: HeaderForm = "object"
    rotate_bytes: Size = "100MB"
    rotate_hours: Annotated[float, Field(ge=0)] = 24.0
    keep: Annotated[int, Field(ge=0)] = 14
    compression: Literal["gzip", "none"] = "gzip"


class Clickhouse(SinkSection):
    """A ClickHouse database, as `store.path` takes one too."""

    kind: Literal["clickhouse"]
    url: Annotated[str, AfterValidator(_database)]
    password_file: str = ""
    ca_file: str = ""


Sink: TypeAlias = Annotated[
    Loki | Elasticsearch | Otlp | Webhook | Kafka | Syslog | File | Clickhouse, Field(discriminator="kind")
]


def sink_name(sink: Sink) -> str:
    """Give the name by which a sink is told of: its own, else its kind."""
    return sink.name or sink.kind
