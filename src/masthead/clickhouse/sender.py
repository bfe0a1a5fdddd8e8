"""Loads of rows as inserts: one Arrow stream each, kept once however often it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.clickhouse.client import Client, DatabaseError
from masthead.clickhouse.tables import TABLE, columns
from masthead.delivery import Again, Outcome, Sent, TooLarge
from masthead.extension import native

if TYPE_CHECKING:
    from masthead.clickhouse.address import Address
    from masthead.delivery import Load
    from masthead.store.kinds import Kinds

# ClickHouse's ErrorCodes.cpp: what `masthead store init` mends.
_UNPREPARED = {16: "a column is missing", 60: "there is no table", 81: "there is no database"}
_MEMORY = 241
# Of a proxy in front of it.
_TOO_LARGE = 413
_FEWEST = 1_000


class Sender:
    """Inserts loads.

    Args:
        address: The database.
        host: What this host is called in the rows.
        kinds: The classes of rows.
        ca_file: Certificates of the authorities that are trusted.
    """

    def __init__(self, address: Address, host: str, kinds: Kinds, ca_file: str = "") -> None:
        self._client = Client(address, ca_file)
        self._host = host
        self.set_kinds(kinds)

    def set_kinds(self, kinds: Kinds) -> None:
        """Sort rows into other classes from the next load on."""
        self._classes = (native().Classes(kinds.rules_json()), list(kinds.names))

    def send(self, load: Load) -> Outcome:
        """Insert a load; a server that has it already says yes as well."""
        data: bytes = native().fleet_stream([load.batch], self._host, *self._classes)
        settings = {
            "insert_deduplicate": "1",
            "insert_deduplication_token": load.token,
            # A load is one block: it is there as a whole or not at all.
            "max_insert_block_size": str(max(load.batch.num_rows, 1)),
            "async_insert": "0",
            # On a cluster "yes" means that the shard has the rows, not that they are queued for it.
            "insert_distributed_sync": "1",
        }
        try:
            self._client.insert(f"INSERT INTO {TABLE} ({', '.join(columns())}) FORMAT ArrowStream", data, settings)
        except DatabaseError as error:
            if error.status == _TOO_LARGE:
                return TooLarge(str(error))
            # "(total)" and "(for user)" pass; smaller loads help where it is the query's own memory.
            if error.code == _MEMORY and "for query" in str(error) and load.batch.num_rows > _FEWEST:
                return TooLarge(str(error))
            return Again(_explained(error))
        return Sent(bytes=len(data))

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()


def _explained(error: DatabaseError) -> str:
    unprepared = _UNPREPARED.get(error.code)
    return f"{unprepared} ({error}): masthead store init makes it" if unprepared else str(error)
