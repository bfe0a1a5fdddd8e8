"""A Kafka broker: one process that is broker and controller (KRaft)."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, ClassVar

from tests.e2e.servers import KEPT, free_port, listening
from tests.e2e.waiting import DEADLINE, wait_for
from tests.sinks.servers import Server, kept, lacking

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data
num.partitions=2
num.network.threads=1
num.io.threads=2
group.initial.rebalance.delay.ms=0
# A broker that was killed may come back when its old session has ended, which would take nine seconds.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=1000
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""
CLUSTER = "bWFzdGhlYWQtdGVzdHMtMQ"
"""A cluster's id: 16 bytes in base64."""
# Starts sooner on few cores than with the compiler and collector that the JVM would take.
JAVA = ("java", "-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class Kafka(Server):
    """Its address is `bootstrap`; topics come into being when they are first written to."""

    name: ClassVar[str] = "kafka"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._controller = free_port()
        self._java = [*JAVA, "-cp", f"{KEPT / self.name / 'lib'}/*"]

    @classmethod
    def missing(cls) -> str | None:
        return kept(cls.name, "lib") or lacking("java")

    def command(self) -> list[str]:
        config = self.folder / "server.properties"
        config.write_text(CONFIG.format(port=self.port, controller=self._controller, folder=self.folder))
        if not (self.folder / "data").exists():
            tool = [*self._java, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(config)]
            subprocess.run(tool, check=True, capture_output=True)
        return [*self._java, "kafka.Kafka", str(config)]

    def ready(self) -> bool:
        return listening(self.port)

    def read(self, topic: str, count: int, deadline: float = DEADLINE) -> list[bytes]:
        """Return the values of a topic's first messages, in the order of each partition."""
        from confluent_kafka import Consumer  # noqa: PLC0415 - only these tests need it

        # A transaction that was given up is not shown.
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "reader",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        found: list[bytes] = []

        def enough() -> bool:
            messages = consumer.consume(10_000, timeout=0.2)
            found.extend(message.value() or b"" for message in messages if message.error() is None)
            return len(found) >= count

        try:
            consumer.subscribe([topic])
            wait_for(enough, f"{count} messages in {topic}", deadline)
        finally:
            consumer.close()
        return found
