"""Kafka: one message for each row, NDJSON's object as value and the connection's id as key.

The producer is idempotent, so that what the library itself tries again is there once. The key keeps the calls of a
connection in order.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from masthead.delivery import Again, Outcome, Sent
from masthead.errors import ConfigError, NotSupportedError
from masthead.secret import first_line

if TYPE_CHECKING:
    from masthead.config.sinks import Kafka
    from masthead.delivery import Load

# How long the library tries by itself before a row comes back.
_SECONDS = 30.0
_QUEUED = 200_000


class KafkaSender:
    """Produces loads.

    Args:
        sink: The settings.

    Raises:
        ConfigError: They can't be used.
        NotSupportedError: The library is not installed.
    """

    def __init__(self, sink: Kafka) -> None:
        try:
            import confluent_kafka  # noqa: PLC0415 - an optional dependency
        except ImportError as error:
            remedy = "pip install 'masthead[kafka]'"
            raise NotSupportedError("Kafka needs the library confluent-kafka", remedy=remedy) from error
        self._topic = sink.topic
        self._headers = sink.line_headers
        self._errors = confluent_kafka.KafkaError
        self._refused_for = confluent_kafka.KafkaException
        self._trouble = ""
        try:
            self._producer = confluent_kafka.Producer(
                _settings(sink) | {"error_cb": self._heard, "logger": None}, logger=_Silent()
            )
        except confluent_kafka.KafkaException as error:
            raise ConfigError(f"Kafka's library refuses the settings: {error}", None, "check [[sink]]") from error

    def send(self, load: Load) -> Outcome:
        """Produce a load, and wait until the brokers have it."""
        # Only what a broker confirmed is there: a row of which nothing was heard comes again.
        failed = set(range(load.batch.num_rows))
        never: list[str] = []
        later: list[str] = []

        def delivered(place: int, error: Any) -> None:  # noqa: ANN401 - KafkaError; the library is loaded late
            if error is None:
                failed.discard(place)
            elif error.code() in (self._errors.MSG_SIZE_TOO_LARGE, self._errors.INVALID_MSG_SIZE):
                failed.discard(place)
                never.append(error.str())
            else:
                later.append(error.str())

        self._trouble = ""
        try:
            size = self._produce(load, delivered)
            self._producer.flush(_SECONDS + 5)
        finally:
            # What is left would be delivered behind our back, and again with the load that comes again.
            if len(self._producer):
                self._producer.purge()
                self._producer.flush(1)
        if failed and len(failed) == load.batch.num_rows:
            return Again(self._trouble or (later[0] if later else "no broker confirmed anything"))
        reason = never[0] if never else later[0] if later else ""
        return Sent(size, len(never), reason, tuple(sorted(failed)))

    def close(self) -> None:
        """Let go of the connections; what an attempt without end left there is sent anew at the next start."""
        self._producer.purge()
        self._producer.flush(1)

    def _produce(self, load: Load, delivered: Any) -> int:  # noqa: ANN401
        lines, ends, keys = load.batch.lines(self._headers)
        begin = 0
        for place, (end, key) in enumerate(zip(ends, keys, strict=True)):

            def told(error: Any, _: Any, place: int = place) -> None:  # noqa: ANN401
                delivered(place, error)

            try:
                self._enqueue(lines[begin:end], key, told)
            except self._refused_for as error:
                delivered(place, error.args[0])
            begin = end + 1
        return len(lines)

    def _enqueue(self, line: bytes, key: bytes | None, told: Any) -> None:  # noqa: ANN401
        """Hand over one message; while the library's queue is full, wait for its brokers, but not for ever."""
        until = time.monotonic() + _SECONDS
        while True:
            try:
                self._producer.produce(self._topic, line, key, on_delivery=told)
            except BufferError:
                if time.monotonic() >= until:
                    raise
                self._producer.poll(0.1)
            else:
                return

    def _heard(self, error: Any) -> None:  # noqa: ANN401
        self._trouble = str(error.str())


class _Silent:
    """The library would write to standard error; what it has to say comes with the rows that it gives back."""

    def log(self, *_: object, **__: object) -> None:
        """Say nothing."""


def _settings(sink: Kafka) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "bootstrap.servers": sink.brokers,
        "client.id": "masthead",
        "compression.type": sink.compression,
        "enable.idempotence": sink.acks == "all",
        "acks": sink.acks,
        "message.timeout.ms": int(_SECONDS * 1000),
        "linger.ms": 5,
        "queue.buffering.max.messages": _QUEUED,
        "security.protocol": ("SASL_" if sink.user else "") + ("SSL" if sink.tls else "PLAINTEXT"),
    }
    if sink.user:
        password = first_line(sink.password_file) if sink.password_file else ""
        settings |= {"sasl.mechanism": sink.mechanism, "sasl.username": sink.user, "sasl.password": password}
    if sink.tls:
        files = {"ssl.ca.location": sink.ca_file, "ssl.certificate.location": sink.cert_file}
        settings |= {name: value for name, value in {**files, "ssl.key.location": sink.key_file}.items() if value}
        settings["enable.ssl.certificate.verification"] = sink.verify
    return settings
