"""VictoriaLogs: takes Loki's push, Elasticsearch's bulk and OTLP logs over HTTP, and answers queries in LogsQL."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from urllib.parse import urlencode

from tests.e2e.servers import KEPT
from tests.sinks.servers import Server, ask, kept


class VictoriaLogs(Server):
    """Its endpoints: `loki` (JSON or snappy protobuf), `elasticsearch` (`_bulk` below it), `otlp` (protobuf).

    It acknowledges what it holds in memory and writes it to disk some seconds later: a kill loses what was acknowledged
    since. Where a kill must lose nothing it is stopped instead.
    """

    name: ClassVar[str] = "victorialogs"

    @classmethod
    def missing(cls) -> str | None:
        return kept(cls.name, "victoria-logs")

    def command(self) -> list[str]:
        return [
            str(KEPT / self.name / "victoria-logs"),
            f"-httpListenAddr=127.0.0.1:{self.port}",
            f"-storageDataPath={self.folder / 'data'}",
            "-retentionPeriod=100y",
            "-inmemoryDataFlushInterval=1s",
            "-memory.allowedBytes=200MB",
            "-loggerLevel=WARN",
        ]

    def ready(self) -> bool:
        return ask(f"{self.url}/health").status == 200

    @property
    def loki(self) -> str:
        return f"{self.url}/insert/loki/api/v1/push"

    @property
    def elasticsearch(self) -> str:
        return f"{self.url}/insert/elasticsearch"

    @property
    def otlp(self) -> str:
        return f"{self.url}/insert/opentelemetry/v1/logs"

    def flush(self) -> None:
        """Make everything that was acknowledged visible to queries."""
        assert ask(f"{self.url}/internal/force_flush").status == 200

    def query(self, logsql: str) -> list[dict[str, Any]]:
        """Return a row for each record that a LogsQL query finds; all values are strings."""
        self.flush()
        reply = ask(f"{self.url}/select/logsql/query?{urlencode({'query': logsql})}")
        assert reply.status == 200, reply.body
        return [json.loads(line) for line in reply.body.splitlines()]

    def count(self, logsql: str = "*") -> int:
        """Return how many records a LogsQL filter finds."""
        return int(self.query(f"{logsql} | stats count() as rows")[0]["rows"])
