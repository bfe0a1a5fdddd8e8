"""A ClickHouse for tests with a database `logs`, and a client that speaks to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from masthead.clickhouse.address import Address
from masthead.clickhouse.client import Client
from tests.sinks.clickhouse.server import ClickHouse

if TYPE_CHECKING:
    from pathlib import Path

MISSING = ClickHouse.missing()


class House(ClickHouse):
    """The server with masthead's own client."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.place = f"clickhouse://default@127.0.0.1:{self.port}/logs"
        self.secret = folder / "password"
        self.secret.write_text(f"{self.password}\n")
        self.address = Address.parse(self.place, str(self.secret))
        self.client = Client(self.address)

    def start(self) -> Self:
        """Start it, with the database."""
        super().start()
        assert self.post(b"CREATE DATABASE IF NOT EXISTS logs").status == 200
        return self

    def count(self, condition: str = "1") -> int:
        """Count rows."""
        return int(self.client.execute(f"SELECT count() FROM exchanges WHERE {condition} FORMAT TSV"))

    def kill(self) -> None:
        """End it as a crash would."""
        super().kill()
        self.client.close()
