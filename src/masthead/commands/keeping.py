"""Where `run` keeps rows: a directory here, or a database that many hosts share."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from masthead.clickhouse.address import Address, is_address
from masthead.commands.sending import spool
from masthead.delivery import Delivery, Limits
from masthead.sinks import Sink, complain
from masthead.store.kinds import Kinds

if TYPE_CHECKING:
    from masthead.config import Config


class Keeping(Protocol):
    """What keeps rows, and lets its classes be changed while it does."""

    @property
    def sink(self) -> Sink:
        """Takes the rows."""

    def set_kinds(self, kinds: Kinds) -> None:
        """Sort and keep rows by other classes from now on."""


class Directory:
    """A store in a directory of this host."""

    def __init__(self, config: Config) -> None:
        from masthead.store.writer import Writer  # noqa: PLC0415 - only where there is a directory

        seconds = config.store.sync_ms / 1000
        self.sink = Writer(Path(config.store.path), Kinds.of(config), sync_seconds=seconds, tell=complain)

    def set_kinds(self, kinds: Kinds) -> None:
        """Hand them to the keeper."""
        self.sink.keeper.set_kinds(kinds)


class Database:
    """A store in ClickHouse."""

    def __init__(self, config: Config) -> None:
        from masthead.clickhouse.sender import Sender  # noqa: PLC0415 - only where there is a database

        store = config.store
        address = Address.parse(store.path, store.password_file)
        if config.retention.max_bytes:
            complain("retention.max_bytes is for a directory; the database keeps rows by their age alone")
        self._sender = Sender(address, store.host or socket.gethostname(), Kinds.of(config), store.ca_file)
        self.sink = Delivery("store", self._sender, Limits(), spool(config, "store"), tell=complain)

    def set_kinds(self, kinds: Kinds) -> None:
        """Hand them to the sender; how long rows are kept is the table's (`masthead store init`)."""
        self._sender.set_kinds(kinds)


def open_keeping(config: Config) -> Keeping | None:
    """Open what the settings ask for.

    Raises:
        ConfigError: The address can't be read.
        StoreError: The directory, or that of the spool, can't be used.
    """
    if not config.store.path:
        return None
    return Database(config) if is_address(config.store.path) else Directory(config)
