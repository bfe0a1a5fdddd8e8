"""A ClickHouse for tests (chDB behind HTTP), killed and started again on what it kept."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from signal import SIGKILL
from subprocess import DEVNULL, Popen
from typing import TYPE_CHECKING, Self

from masthead.clickhouse.address import Address
from masthead.clickhouse.client import Client
from tests.e2e.processes import end, leashed
from tests.e2e.servers import free_port
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
MISSING = None if importlib.util.find_spec("chdb") else "chdb is not installed"


class House:
    """The server, with a database `logs`."""

    def __init__(self, folder: Path, password: str = "") -> None:
        self._folder = folder
        self._password = password
        self.port = free_port()
        self.place = f"clickhouse://127.0.0.1:{self.port}/logs"
        self.address = Address.parse(self.place, environ={"CLICKHOUSE_PASSWORD": password})
        self.client = Client(self.address)
        self._child: Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it, and wait until it answers."""
        arguments = [str(self._folder), str(self.port), *([self._password] if self._password else [])]
        command = [*leashed("TERM"), sys.executable, "-m", "tests.sinks.chdb_server", *arguments]
        with self._folder.with_suffix(".log").open("ab") as log:
            self._child = Popen(command, cwd=ROOT, stdin=DEVNULL, stdout=log, stderr=log)
        wait_for(lambda: answered(lambda: self.client.execute("SELECT 1")), "ClickHouse answers", 60)
        return self

    def kill(self) -> None:
        """End it as a crash would."""
        if self._child is not None:
            child, self._child = self._child, None
            end(child, SIGKILL)

    def count(self, condition: str = "1") -> int:
        """Count rows."""
        return int(self.client.execute(f"SELECT count() FROM exchanges WHERE {condition} FORMAT TSV"))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.client.close()


def answered(ask: Callable[[], str]) -> bool:
    try:
        ask()
    except Exception:  # noqa: BLE001 - not yet, whatever it is
        return False
    return True
