"""OpenTelemetry's protocol over HTTP or gRPC: rows as log records, and as spans where that is asked for.

Source: the OTLP specification 1.x, "OTLP/HTTP" (`POST /v1/logs`, `application/x-protobuf`) and "OTLP/gRPC"; partial
success is field 1 of every answer: the number of records that were rejected, and why.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from masthead.delivery import Again, Outcome, Refused, Sent, TooLarge
from masthead.delivery.http import Credentials, Http, Reply
from masthead.errors import ConfigError, NotSupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masthead._native import Batch
    from masthead.config.sinks import Otlp
    from masthead.delivery import Load

SIGNALS = {
    "logs": ("/v1/logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
    "metrics": ("/v1/metrics", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
    "traces": ("/v1/traces", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
}
# gRPC's codes that the specification calls retryable, and those that somebody has to mend first.
_LATER = frozenset(
    {
        *("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"),
        *("RESOURCE_EXHAUSTED", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "UNKNOWN", "INTERNAL"),
    }
)
_VARINT, _TEXT = 0, 2
# Loads of which one signal has arrived and another has not: one is tried at a time, and it may have halves of halves.
_REMEMBERED = 64


class Channel(Protocol):
    """One way to a collector."""

    def export(self, signal: str, body: bytes) -> Outcome:
        """Send one request."""

    def close(self) -> None:
        """Let go of the connection."""


class OtlpSender:
    """Exports loads.

    Args:
        channel: The way to the collector.
        signals: `logs`, `traces` or both; metrics are not made of rows.
        resource: Attributes of the resource.
    """

    def __init__(self, channel: Channel, signals: tuple[str, ...], resource: Mapping[str, str]) -> None:
        self._channel = channel
        self._signals = signals
        self._resource = json.dumps(resource)
        self._progress: OrderedDict[str, _Progress] = OrderedDict()

    def send(self, load: Load) -> Outcome:
        """Export a load, signal by signal; one that has arrived is not sent again when the other failed."""
        progress, sent = self._taken_up(load), 0
        for signal in self._signals:
            if signal in progress.arrived:
                continue
            outcome = self._channel.export(signal, _encoded(load.batch, signal, self._resource))
            if not isinstance(outcome, Sent):
                if not isinstance(outcome, Refused):
                    self._remember(load.token, progress)
                return outcome
            sent += outcome.bytes
            # A row counts as refused when one of its signals was.
            refused, reason = max(progress.refused, outcome.refused), progress.reason or outcome.reason
            progress = _Progress(progress.arrived | {signal}, refused, reason)
        return Sent(sent, min(progress.refused, load.batch.num_rows), progress.reason)

    def close(self) -> None:
        """Let go of the connection."""
        self._channel.close()

    def _taken_up(self, load: Load) -> _Progress:
        """Give how far a load is, or the one that it is a half of: halves come one after the other."""
        if load.token in self._progress:
            return self._progress.pop(load.token)
        whole, half, number = load.token.rpartition("-h")
        if not half or whole not in self._progress:
            return _Progress()
        found = self._progress[whole]
        # What was refused of the whole is counted once, in as many of its rows as this half has.
        own = min(found.refused, load.batch.num_rows)
        if number == "0":
            self._progress[whole] = replace(found, refused=found.refused - own)
        else:
            del self._progress[whole]
        return replace(found, refused=own)

    def _remember(self, token: str, progress: _Progress) -> None:
        if progress.arrived:
            self._progress[token] = progress
            if len(self._progress) > _REMEMBERED:
                self._progress.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far a load is: signals that have arrived, and rows of it that were refused in one of them."""

    arrived: frozenset[str] = frozenset()
    refused: int = 0
    reason: str = ""


class HttpChannel:
    """OTLP/HTTP with protobuf."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def export(self, signal: str, body: bytes) -> Outcome:
        """Post one request."""
        reply = self._http.attempt(SIGNALS[signal][0], body, "application/x-protobuf")
        if not isinstance(reply, Reply):
            return reply
        if not reply.ok:
            return reply.outcome()
        return Sent(reply.sent, *partial_success(reply.body))

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


class GrpcChannel:
    """OTLP/gRPC.

    Args:
        sink: The settings.

    Raises:
        ConfigError: A file can't be read.
        NotSupportedError: The library is not installed.
    """

    def __init__(self, sink: Otlp) -> None:
        try:
            import grpc  # noqa: PLC0415 - an optional dependency
        except ImportError as error:
            remedy = "pip install 'masthead[otlp]', or set protocol = \"http\""
            raise NotSupportedError("OTLP over gRPC needs the library grpcio", remedy=remedy) from error
        self._grpc = grpc
        self._sink = sink
        scheme, _, rest = sink.url.partition("://")
        target = rest.strip("/")
        if scheme == "https":
            files = [_bytes(file) for file in (sink.ca_file, sink.key_file or sink.cert_file, sink.cert_file)]
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(*files))
        else:
            self._channel = grpc.insecure_channel(target)
        self._calls: dict[str, Callable[..., Any]] = {
            signal: self._channel.unary_unary(method) for signal, (_, method) in SIGNALS.items()
        }

    def export(self, signal: str, body: bytes) -> Outcome:
        """Make one call."""
        grpc, sink = self._grpc, self._sink
        packing = grpc.Compression.Gzip if sink.compression == "gzip" else grpc.Compression.NoCompression
        try:
            metadata = [(name.lower(), value) for name, value in {**sink.headers, **_credentials(sink)}.items()]
            answer = self._calls[signal](body, timeout=sink.timeout_seconds, metadata=metadata, compression=packing)
        except grpc.RpcError as error:
            reason = f"{error.code().name}: {error.details()}"[:300]
            if error.code().name == "RESOURCE_EXHAUSTED" and "larger than max" in str(error.details()):
                return TooLarge(reason)
            return Again(reason) if error.code().name in _LATER else Refused(reason)
        except ConfigError as error:
            return Again(str(error).replace("\n", ";"))
        return Sent(len(body), *partial_success(answer))

    def close(self) -> None:
        """Let go of the connection."""
        self._channel.close()


def partial_success(answer: bytes) -> tuple[int, str]:
    """Read how many records of a request were rejected, and why.

    Both answers, `ExportLogsServiceResponse` and `ExportTraceServiceResponse`, have a message as field 1 whose field 1
    is the number and whose field 2 is the reason.
    """
    rejected, reason = 0, ""
    for number, inner in _fields(answer):
        if number == 1 and isinstance(inner, bytes):
            for member, value in _fields(inner):
                if member == 1 and isinstance(value, int):
                    rejected = value
                elif member == 2 and isinstance(value, bytes):  # noqa: PLR2004 - the field's number
                    reason = value.decode(errors="replace")
    return rejected, reason


def _fields(message: bytes) -> list[tuple[int, int | bytes]]:
    """Take a message of protobuf apart, as far as it has numbers and texts."""
    found: list[tuple[int, int | bytes]] = []
    place = 0
    while place < len(message):
        tag, place = _number(message, place)
        if tag & 7 == _VARINT:
            value, place = _number(message, place)
            found.append((tag >> 3, value))
        elif tag & 7 == _TEXT:
            length, place = _number(message, place)
            found.append((tag >> 3, message[place : place + length]))
            place += length
        else:
            break
    return found


def _number(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message):
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a varint
            break
    return value, place


def _encoded(batch: Batch, signal: str, resource: str) -> bytes:
    return batch.otlp_logs(resource, time.time_ns()) if signal == "logs" else batch.otlp_traces(resource)


def _bytes(file: str) -> bytes | None:
    if not file:
        return None
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - a path as it was written
            return opened.read()
    except OSError as error:
        raise ConfigError(f"no certificate: {error.strerror}", file, "name a readable file of PEM") from error


def _credentials(sink: Otlp) -> dict[str, str]:
    password = sink.password_file
    return Credentials(sink.user, password, sink.token_file, sink.token_env, sink.token_scheme).headers()
