"""ClickHouse, over chDB."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any, ClassVar

from tests.sinks.servers import Reply, Server, ask

ROOT = Path(__file__).parents[3]


class ClickHouse(Server):
    """ClickHouse's engine behind its HTTP interface (see `__main__.py`); what was acknowledged survives a kill."""

    name: ClassVar[str] = "clickhouse"
    user, password = "default", "secret"

    @classmethod
    def missing(cls) -> str | None:
        return None if importlib.util.find_spec("chdb") else "chdb is not installed"

    def command(self) -> list[str]:
        data = self.folder / "data"
        return [sys.executable, "-m", "tests.sinks.clickhouse", str(data), str(self.port), self.user, self.password]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT)}

    def ready(self) -> bool:
        return ask(f"{self.url}/ping").status == 200

    def post(self, body: bytes, parameters: str = "", **headers: str) -> Reply:
        """Send one request as the user."""
        sent = {"X_ClickHouse_User": self.user, "X_ClickHouse_Key": self.password, **headers}
        return ask(f"{self.url}/?{parameters}", body, "POST", **sent)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query; statements that give none return an empty list."""
        reply = self.post(sql.encode(), "default_format=JSONEachRow")
        assert reply.status == 200, reply.body
        return [json.loads(line) for line in reply.body.splitlines()]
