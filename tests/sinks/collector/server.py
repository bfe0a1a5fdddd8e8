"""An OpenTelemetry Collector: takes OTLP over gRPC and over HTTP, and writes down what it took."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar

from tests.e2e.servers import KEPT, free_port, listening
from tests.sinks.servers import Server, ask, kept

if TYPE_CHECKING:
    from pathlib import Path

# With a rotation (here one that never comes) each export is a write of its own, and none waits in a buffer for a kill.
EXPORTER = '  file/{signal}: {{ path: "{folder}/{signal}.json", rotation: {{ max_megabytes: 1000000 }} }}'
CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: "127.0.0.1:{grpc}", max_recv_msg_size_mib: 64 }}
      http: {{ endpoint: "127.0.0.1:{http}" }}
exporters:
{exporters}
service:
  pipelines:
    logs: {{ receivers: [otlp], exporters: [file/logs] }}
    metrics: {{ receivers: [otlp], exporters: [file/metrics] }}
    traces: {{ receivers: [otlp], exporters: [file/traces] }}
"""
# Within a JSON string its quotes would be escaped, so this is where a document begins and nothing else.
DOCUMENT = re.compile(rb'(?=\{"resource(?:Logs|Metrics|Spans)":)')


class Collector(Server):
    """Its endpoints: `url` for HTTP (`/v1/logs`, `/v1/metrics`, `/v1/traces`), `grpc` for gRPC (`host:port`).

    What was acknowledged is in its file, and stays there when it is killed.
    """

    name: ClassVar[str] = "collector"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.grpc_port = free_port()
        self.grpc = f"127.0.0.1:{self.grpc_port}"

    @classmethod
    def missing(cls) -> str | None:
        return kept(cls.name, "collector")

    def command(self) -> list[str]:
        exporters = "\n".join(
            EXPORTER.format(signal=signal, folder=self.folder) for signal in ("logs", "metrics", "traces")
        )
        config = self.folder / "collector.yaml"
        config.write_text(CONFIG.format(grpc=self.grpc_port, http=self.port, exporters=exporters))
        return [str(KEPT / self.name / "collector"), "--config", f"file:{config}"]

    def ready(self) -> bool:
        # Nothing is asked of it: it only says that this is no way to send logs.
        return ask(f"{self.url}/v1/logs").status == 405 and listening(self.grpc_port)

    def exports(self, signal: str = "logs") -> list[dict[str, Any]]:
        """Return the export requests of one signal (logs, metrics, traces), in OTLP's JSON, as they came.

        A request that a kill cut short was never acknowledged, and is left out.
        """
        file = self.folder / f"{signal}.json"
        texts = DOCUMENT.split(file.read_bytes())[1:] if file.exists() else []
        found: list[dict[str, Any]] = []
        for text in texts:
            try:
                found.append(json.loads(text))
            except json.JSONDecodeError:
                continue
        return found

    def records(self) -> list[dict[str, Any]]:
        """Return the log records of all exports."""
        return [
            record
            for export in self.exports("logs")
            for resource in export["resourceLogs"]
            for scope in resource["scopeLogs"]
            for record in scope["logRecords"]
        ]
