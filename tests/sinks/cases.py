"""Each sink with a real server that takes what it sends: how it is set, and how the server is asked what it has."""

from __future__ import annotations

import json
import mmap
import re
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from masthead.clickhouse.tables import Layout, initialise
from tests.sinks.collector.server import Collector
from tests.sinks.house import MISSING, House
from tests.sinks.kafka.server import Kafka
from tests.sinks.opensearch.server import OpenSearch
from tests.sinks.victorialogs import VictoriaLogs

if TYPE_CHECKING:
    from pathlib import Path

EXCHANGE = re.compile(rb'"masthead\.exchange_id","value":\{"stringValue":"([^"]+)"')
# VictoriaLogs by its limit on lines, Kafka by its reader: what a test asks for at most at once.
Ids = Counter[str]


class Case(Protocol):
    """A sink and its server.

    Attributes:
        once: Whether a row is there once however often it was sent.
    """

    name: str
    once: bool

    @staticmethod
    def missing() -> str | None:
        """Why it can't be tested here, if so."""

    def __init__(self, folder: Path) -> None: ...

    def start(self) -> None:
        """Start the server."""

    def kill(self) -> None:
        """End it as a crash does, but for what it says it may lose in one."""

    def settings(self) -> dict[str, object]:
        """Give the `[[sink]]` table."""

    def count(self) -> int:
        """Ask how many rows it has."""

    def ids(self, most: int) -> Ids:
        """Ask how often it has each row, by exchange id."""


class OnVictoriaLogs:
    """What three sinks share that are tested with VictoriaLogs."""

    once = False

    def __init__(self, folder: Path) -> None:
        self.server = VictoriaLogs(folder / "victorialogs")

    @staticmethod
    def missing() -> str | None:
        return VictoriaLogs.missing()

    def start(self) -> None:
        self.server.start()

    def kill(self) -> None:
        # It acknowledges what it keeps in memory: a kill would take it, so it is asked to end.
        self.server.stop()

    def count(self) -> int:
        return self.server.count()

    def found(self, name: str, most: int) -> Ids:
        rows = self.server.query(f"* | stats by ({name}) count() n | limit {most}")
        return Counter({row[name]: int(row["n"]) for row in rows})


class LokiCase(OnVictoriaLogs):
    """Loki's push."""

    name = "loki"

    def settings(self) -> dict[str, object]:
        return {"kind": "loki", "url": f"{self.server.url}/insert"}

    def ids(self, most: int) -> Ids:
        return self.found("masthead.exchange_id", most)


class ElasticsearchCase(OnVictoriaLogs):
    """Elasticsearch's bulk."""

    name = "elasticsearch"

    def settings(self) -> dict[str, object]:
        fields = {"VL-Time-Field": "@timestamp", "VL-Msg-Field": "url.original"}
        return {"kind": "elasticsearch", "url": f"{self.server.url}/insert/elasticsearch", "headers": fields}

    def ids(self, most: int) -> Ids:
        return self.found("masthead.exchange_id", most)


class OtlpVictoriaLogsCase(OnVictoriaLogs):
    """OTLP logs over HTTP."""

    name = "otlp"

    def settings(self) -> dict[str, object]:
        return {"kind": "otlp", "url": f"{self.server.url}/insert/opentelemetry"}

    def ids(self, most: int) -> Ids:
        return self.found("masthead.exchange_id", most)


class OpenSearchCase:
    """OpenSearch's bulk, into a data stream."""

    name = "opensearch"
    once = True

    def __init__(self, folder: Path) -> None:
        self.server = OpenSearch(folder / "opensearch")

    @staticmethod
    def missing() -> str | None:
        return OpenSearch.missing()

    def start(self) -> None:
        self.server.start()

    def kill(self) -> None:
        self.server.kill()

    def settings(self) -> dict[str, object]:
        return {"kind": "opensearch", "url": self.server.url, "index": "calls"}

    def count(self) -> int:
        return self.server.count("calls")

    def ids(self, most: int) -> Ids:
        # The id of a document is the row's: two of one id can't be.
        return Counter(hit["masthead"]["exchange_id"] for hit in self.server.search("calls", size=min(most, 10_000)))


class CollectorCase:
    """OTLP into a Collector, over HTTP or gRPC."""

    name = "otlp-collector"
    once = False
    protocol = "http"

    def __init__(self, folder: Path) -> None:
        self.server = Collector(folder / "collector")

    @staticmethod
    def missing() -> str | None:
        return Collector.missing()

    def start(self) -> None:
        self.server.start()

    def kill(self) -> None:
        self.server.kill()

    def settings(self) -> dict[str, object]:
        url = self.server.url if self.protocol == "http" else f"http://{self.server.grpc}"
        return {"kind": "otlp", "url": url, "protocol": self.protocol}

    def count(self) -> int:
        return sum(self.ids(0).values())

    def ids(self, most: int) -> Ids:
        # A million records are gigabytes of JSON: they are looked through, not read.
        del most
        file = self.server.folder / "logs.json"
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return Counter(found[1].decode() for found in EXCHANGE.finditer(text))


class GrpcCase(CollectorCase):
    """OTLP over gRPC."""

    name = "otlp-grpc"
    protocol = "grpc"


class KafkaCase:
    """Kafka."""

    name = "kafka"
    once = False

    def __init__(self, folder: Path) -> None:
        self.server = Kafka(folder / "kafka")
        self._wanted = 1

    @staticmethod
    def missing() -> str | None:
        return Kafka.missing()

    def start(self) -> None:
        self.server.start()

    def kill(self) -> None:
        self.server.kill()

    def settings(self) -> dict[str, object]:
        return {"kind": "kafka", "brokers": self.server.bootstrap}

    def count(self) -> int:
        return offsets(self.server.bootstrap, "masthead")

    def ids(self, most: int) -> Ids:
        values = self.server.read("masthead", min(most, self.count()), 300)
        return Counter(json.loads(value)["masthead"]["exchange_id"] for value in values)


class ClickhouseCase:
    """ClickHouse."""

    name = "clickhouse"
    once = True

    def __init__(self, folder: Path) -> None:
        self.server = House(folder / "house")
        self._made = False

    @staticmethod
    def missing() -> str | None:
        return MISSING

    def start(self) -> None:
        self.server.start()
        if not self._made:
            initialise(self.server.client, Layout(ages={}))
            self._made = True

    def kill(self) -> None:
        self.server.kill()

    def settings(self) -> dict[str, object]:
        return {"kind": "clickhouse", "url": self.server.place, "password_file": str(self.server.secret)}

    def count(self) -> int:
        return self.server.count()

    def ids(self, most: int) -> Ids:
        sql = f"SELECT exchange_id, count() FROM exchanges GROUP BY exchange_id LIMIT {most} FORMAT TSV"
        lines = (line.split("\t") for line in self.server.client.execute(sql).splitlines())
        return Counter({name: int(count) for name, count in lines})


def offsets(bootstrap: str, topic: str) -> int:
    """Ask how many messages a topic has."""
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - only these tests need it

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "counter"})
    try:
        metadata = consumer.list_topics(topic, timeout=10)
        ranges = [
            consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            for partition in metadata.topics[topic].partitions
        ]
    finally:
        consumer.close()
    return sum(high - low for low, high in ranges)


CASES: tuple[type[Case], ...] = (
    LokiCase,
    ElasticsearchCase,
    OtlpVictoriaLogsCase,
    OpenSearchCase,
    CollectorCase,
    GrpcCase,
    KafkaCase,
    ClickhouseCase,
)
