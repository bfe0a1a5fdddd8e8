"""Prometheus and Alertmanager, as Debian packages them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from tests.sinks.servers import Server, ask, lacking

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Watch:
    """What a Prometheus looks at.

    Attributes:
        targets: Addresses (`host:port`) whose `/metrics` it reads each second; itself, as job `prometheus`, always.
        rules: Rule files.
        alertmanagers: Addresses that it tells of alerts.
    """

    targets: Sequence[str] = ()
    rules: Sequence[Path] = ()
    alertmanagers: Sequence[str] = ()

    def configuration(self, own: str) -> dict[str, Any]:
        """Return Prometheus' configuration."""
        jobs = {"prometheus": [own], "masthead": list(self.targets)}
        return {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(file) for file in self.rules],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": targets}]} for job, targets in jobs.items()
            ],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": list(self.alertmanagers)}]}]},
        }


class Prometheus(Server):
    """Reads metrics each second, takes exemplars and remote writes, and answers PromQL. Keeps its data over a kill."""

    name: ClassVar[str] = "prometheus"

    def __init__(self, folder: Path, watch: Watch | None = None) -> None:
        super().__init__(folder)
        self.watch = watch or Watch()

    @classmethod
    def missing(cls) -> str | None:
        reason = lacking("prometheus")
        return f"{reason}: run dev/servers prometheus" if reason else None

    def command(self) -> list[str]:
        config = self.folder / "prometheus.json"
        config.write_text(json.dumps(self.watch.configuration(f"127.0.0.1:{self.port}")))  # JSON is YAML too
        return [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-remote-write-receiver",
            "--enable-feature=exemplar-storage",
            "--log.level=warn",
        ]

    def ready(self) -> bool:
        return ask(f"{self.url}/-/ready").status == 200

    def query(self, promql: str) -> list[dict[str, Any]]:
        """Return the series of an instant query: `metric` (its labels) and `value` ([time, text]) each."""
        reply = ask(f"{self.url}/api/v1/query?{urlencode({'query': promql})}")
        assert reply.status == 200, reply.body
        found: list[dict[str, Any]] = reply.json()["data"]["result"]
        return found


class Alertmanager(Server):
    """Takes alerts by its API (v2) and hands them on, at once, to a webhook if it is given one."""

    name: ClassVar[str] = "alertmanager"

    def __init__(self, folder: Path, webhook: str | None = None) -> None:
        super().__init__(folder)
        self.webhook = webhook

    @classmethod
    def missing(cls) -> str | None:
        reason = lacking("prometheus-alertmanager")
        return f"{reason}: run dev/servers alertmanager" if reason else None

    def command(self) -> list[str]:
        hooks = [{"url": self.webhook, "send_resolved": True}] if self.webhook else []
        soon = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
        config = {
            "route": {"receiver": "tests", "group_by": ["..."], **soon},
            "receivers": [{"name": "tests", "webhook_configs": hooks}],
        }
        file = self.folder / "alertmanager.json"
        file.write_text(json.dumps(config))
        return [
            "prometheus-alertmanager",
            f"--config.file={file}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]

    def ready(self) -> bool:
        return ask(f"{self.url}/-/ready").status == 200

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it holds, as its API gives them."""
        reply = ask(f"{self.url}/api/v2/alerts")
        assert reply.status == 200, reply.body
        found: list[dict[str, Any]] = reply.json()
        return found
