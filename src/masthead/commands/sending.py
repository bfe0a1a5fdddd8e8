"""From `[[sink]]` to sinks that run: the one place that knows every kind."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from masthead.config import sinks as settings
from masthead.config.units import size_bytes
from masthead.delivery import Delivery, Limits, Sender, Sent, Spool
from masthead.delivery.http import Credentials, Http, Security
from masthead.sinks import complain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from masthead.config import Config
    from masthead.config.sinks import Sink, SinkSection
    from masthead.sinks import Sink as Seam
    from masthead.sinks.otlp import Channel

Kind = TypeVar("Kind")


def open_sinks(config: Config) -> list[Delivery]:
    """Open the sinks that the settings ask for; they send nothing before `begin`, or a first batch.

    Raises:
        ConfigError: One can't be used as it is set.
        NotSupportedError: A library is missing.
        StoreError: The directory of a spool can't be used.
    """
    return [_delivery(config, sink) for sink in config.sink if takes_rows(sink)]


def begin(sinks: Sequence[Seam]) -> None:
    """Begin to send, once it is known that there is something to log: an earlier run's rows first."""
    for sink in sinks:
        if isinstance(sink, Delivery):
            sink.start()


def pushes(config: Config) -> list[tuple[Mapping[str, str], float, Callable[[bytes], str]]]:
    """Give where metrics are pushed to: attributes of the resource, seconds between two, and what sends a request.

    Raises:
        ConfigError: One can't be used as it is set.
        NotSupportedError: A library is missing.
    """
    wanted = [sink for sink in config.sink if isinstance(sink, settings.Otlp) and "metrics" in sink.signals]
    return [(_resource(sink), sink.metrics_seconds, metrics_exporter(sink)) for sink in wanted]


def close_all(sinks: Sequence[Seam]) -> None:
    """Close sinks beside each other: each may need its time for what still waits."""
    with ThreadPoolExecutor(max_workers=max(1, len(sinks)), thread_name_prefix="masthead-close") as pool:
        list(pool.map(_close, sinks))


def _close(sink: Seam) -> None:
    try:
        sink.close()
    except Exception as error:  # noqa: BLE001 - the others and the accounts are still to come
        complain(f"{getattr(sink, 'name', type(sink).__name__)}: could not be closed: {error}")


def accounts(sinks: Sequence[Seam]) -> list[str]:
    """Give what each sink that sends elsewhere was handed and what became of it, a line each."""
    return [f"{sink.name}: {sink.account.text()}" for sink in sinks if isinstance(sink, Delivery)]


def spool(config: Config, name: str) -> Spool | None:
    """Open the spool of a sink, where there is one."""
    if not config.delivery.spool:
        return None
    return Spool(Path(config.delivery.spool) / name, int(size_bytes(config.delivery.spool_bytes)))


def sender(config: Config, sink: Sink) -> Sender:
    """Make what sends.

    Raises:
        ConfigError: It can't be used as it is set.
        NotSupportedError: A library is missing.
    """
    kinds: dict[str, Callable[[], Sender]] = {
        "loki": lambda: _loki(_of(sink, settings.Loki)),
        "elasticsearch": lambda: _elasticsearch(_of(sink, settings.Elasticsearch)),
        "opensearch": lambda: _elasticsearch(_of(sink, settings.Elasticsearch)),
        "otlp": lambda: _otlp(_of(sink, settings.Otlp)),
        "webhook": lambda: _webhook(_of(sink, settings.Webhook)),
        "kafka": lambda: _kafka(_of(sink, settings.Kafka)),
        "syslog": lambda: _syslog(_of(sink, settings.Syslog)),
        "file": lambda: _file(_of(sink, settings.File)),
        "clickhouse": lambda: _clickhouse(config, _of(sink, settings.Clickhouse)),
    }
    return kinds[sink.kind]()


def prepare(config: Config, sink: Sink) -> str:
    """Make what a server needs before rows come; gives what was done, in words, or nothing.

    Raises:
        MastheadError: It can't be made.
    """
    if isinstance(sink, settings.Elasticsearch):
        from masthead.sinks.indices import prepare  # noqa: PLC0415 - each kind is loaded where it is used

        return prepare(http(sink), sink.kind, sink.index, sink.keep)
    if isinstance(sink, settings.Clickhouse):
        from masthead.clickhouse.address import Address  # noqa: PLC0415
        from masthead.clickhouse.tables import Layout, made  # noqa: PLC0415
        from masthead.store.kinds import Kinds  # noqa: PLC0415

        address = Address.parse(sink.url, sink.password_file)
        return f"{len(made(address, sink.ca_file, Layout(ages=Kinds.of(config).ages)))} statements run"
    return ""


def http(sink: settings.Web) -> Http:
    """Make the transport of a sink that speaks HTTP."""
    security = Security(sink.ca_file, sink.cert_file, sink.key_file, sink.verify)
    who = Credentials(sink.user, sink.password_file, sink.token_file, sink.token_env, sink.token_scheme)
    # Read once here, so that a missing file is told at the start.
    who.headers()
    return Http(sink.url, security, who, sink.headers, sink.compression == "gzip", sink.timeout_seconds)


def _delivery(config: Config, sink: Sink) -> Delivery:
    name = settings.sink_name(sink)
    waits = spool(config, name) if sink.spool else None
    return Delivery(name, sender(config, sink), _limits(sink), waits, tell=complain)


def _limits(sink: SinkSection) -> Limits:
    return Limits(
        rows=sink.batch_rows,
        bytes=int(size_bytes(sink.batch_bytes)),
        seconds=sink.batch_seconds,
        memory=int(size_bytes(sink.memory)),
        behind=sink.behind,
    )


def _loki(sink: settings.Loki) -> Sender:
    from masthead.sinks.loki import LokiSender  # noqa: PLC0415 - each kind is loaded where it is used

    labels = {"host": socket.gethostname(), **sink.labels}
    return LokiSender(http(sink), labels, sink.tenant, sink.line_headers)


def _elasticsearch(sink: settings.Elasticsearch) -> Sender:
    from masthead.sinks.elasticsearch import ElasticsearchSender  # noqa: PLC0415

    return ElasticsearchSender(http(sink), sink.index)


def _otlp(sink: settings.Otlp) -> Sender:
    from masthead.sinks.otlp import OtlpSender  # noqa: PLC0415

    signals = tuple(signal for signal in sink.signals if signal != "metrics")
    return OtlpSender(_channel(sink), signals, _resource(sink))


def _channel(sink: settings.Otlp) -> Channel:
    from masthead.sinks.otlp import GrpcChannel, HttpChannel  # noqa: PLC0415

    return GrpcChannel(sink) if sink.protocol == "grpc" else HttpChannel(http(sink))


def _resource(sink: settings.Otlp) -> dict[str, str]:
    return {"service.name": "masthead", "host.name": socket.gethostname(), **sink.resource}


def metrics_exporter(sink: Sink) -> Callable[[bytes], str]:
    """Make what sends metrics: takes a request, gives what went wrong, or nothing.

    Raises:
        ConfigError: It can't be used as it is set.
        NotSupportedError: A library is missing.
    """
    channel = _channel(_of(sink, settings.Otlp))

    def export(body: bytes) -> str:
        outcome = channel.export("metrics", body)
        return "" if isinstance(outcome, Sent) and not outcome.refused else outcome.reason

    return export


def takes_rows(sink: Sink) -> bool:
    """Whether calls are sent there, not metrics alone."""
    return not (isinstance(sink, settings.Otlp) and set(sink.signals) == {"metrics"})


def _webhook(sink: settings.Webhook) -> Sender:
    from masthead.sinks.webhook import WebhookSender  # noqa: PLC0415

    return WebhookSender(http(sink), sink.form, sink.line_headers)


def _kafka(sink: settings.Kafka) -> Sender:
    from masthead.sinks.kafka import KafkaSender  # noqa: PLC0415

    return KafkaSender(sink)


def _syslog(sink: settings.Syslog) -> Sender:
    from masthead.sinks.syslog import SyslogSender  # noqa: PLC0415

    security = Security(sink.ca_file, sink.cert_file, sink.key_file, sink.verify)
    return SyslogSender(sink.address, sink.transport, facility=sink.facility, app=sink.app, security=security)


def _file(sink: settings.File) -> Sender:
    from masthead.sinks.file import FileSender, Rotation  # noqa: PLC0415

    closing = Rotation(
        int(size_bytes(sink.rotate_bytes)), sink.rotate_hours * 3600, sink.keep, sink.compression == "gzip"
    )
    return FileSender(Path(sink.path), closing, sink.line_headers)


def _clickhouse(config: Config, sink: settings.Clickhouse) -> Sender:
    from masthead.clickhouse.address import Address  # noqa: PLC0415
    from masthead.clickhouse.sender import Sender as ClickhouseSender  # noqa: PLC0415
    from masthead.store.kinds import Kinds  # noqa: PLC0415

    address = Address.parse(sink.url, sink.password_file)
    return ClickhouseSender(address, config.store.host or socket.gethostname(), Kinds.of(config), sink.ca_file)


def _of(sink: Sink, kind: type[Kind]) -> Kind:
    """Give a sink as what its `kind` says it is."""
    if not isinstance(sink, kind):
        raise TypeError(sink.kind)
    return sink
