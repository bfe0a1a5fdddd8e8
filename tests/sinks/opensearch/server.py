"""An OpenSearch node: the real bulk, data streams, index templates and search."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, ClassVar

from tests.e2e.servers import KEPT, free_port
from tests.sinks.servers import Server, ask, kept, lacking

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
cluster.name: masthead-tests
node.name: one
discovery.type: single-node
network.host: 127.0.0.1
http.port: {port}
transport.port: {transport}
path.data: {folder}/data
path.logs: {folder}/logs
# A small disk that is nearly full is no reason to refuse a test's rows.
cluster.routing.allocation.disk.threshold_enabled: false
"""
LOGGING = """
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1.}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""
HEAP = "512m"
NOBODY = "65534"
# The bit lets the right count for access(2) too, which else asks as if there were none.
MAY_READ = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup")


class OpenSearch(Server):
    """Its address is `url`, without TLS or users. A request that was acknowledged survives a kill.

    It has no lifecycle policies: neither Elasticsearch's (`_ilm`) nor OpenSearch's own (`_plugins/_ism`, a plugin).
    """

    name: ClassVar[str] = "opensearch"
    start_seconds: ClassVar[float] = 180

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._transport = free_port()

    @classmethod
    def missing(cls) -> str | None:
        return kept(cls.name, "lib") or lacking("java") or (lacking("setpriv") if os.geteuid() == 0 else None)

    def prefix(self) -> tuple[str, ...]:
        # It refuses to run as root. As nobody it must still come to its jars and its folder, wherever those are.
        # Who it is and the signal go in one command, because a change of the user forgets the signal.
        if os.geteuid() != 0:
            return super().prefix()
        user = ("--reuid", NOBODY, "--regid", NOBODY, "--clear-groups")
        return (*super().prefix(), *user, *MAY_READ)

    def command(self) -> list[str]:
        home, config, scratch = KEPT / self.name, self.folder / "config", self.folder / "tmp"
        for folder in (config, scratch):
            folder.mkdir(exist_ok=True)
        (config / "opensearch.yml").write_text(
            CONFIG.format(port=self.port, transport=self._transport, folder=self.folder)
        )
        (config / "log4j2.properties").write_text(LOGGING)
        java = ["java", f"-Xms{HEAP}", f"-Xmx{HEAP}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return [
            *java,
            "-Djava.security.manager=allow",
            f"-Djava.io.tmpdir={scratch}",
            "-Djna.nosys=true",
            f"-Dopensearch.path.home={home}",
            f"-Dopensearch.path.conf={config}",
            "-cp",
            f"{home / 'lib'}/*",
            "org.opensearch.bootstrap.OpenSearch",
        ]

    def stop(self) -> None:
        # Its own way to end takes longer than all of a test, and what was acknowledged is on disk anyway.
        self.kill()

    def ready(self) -> bool:
        return ask(f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=1s").status == 200

    def search(self, index: str, query: dict[str, Any] | None = None, size: int = 100) -> list[dict[str, Any]]:
        """Return the documents that a query finds, of all those that were acknowledged."""
        assert ask(f"{self.url}/{index}/_refresh", b"").status == 200
        body = json.dumps({"query": query or {"match_all": {}}, "size": size}).encode()
        reply = ask(f"{self.url}/{index}/_search", body, content_type="application/json")
        assert reply.status == 200, reply.body
        return [hit["_source"] for hit in reply.json()["hits"]["hits"]]

    def count(self, index: str) -> int:
        """Return how many documents an index or data stream has."""
        assert ask(f"{self.url}/{index}/_refresh", b"").status == 200
        return int(ask(f"{self.url}/{index}/_count").json()["count"])
