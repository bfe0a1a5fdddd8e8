"""A store, opened for questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from masthead.clickhouse.address import Address, is_address
from masthead.query.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from masthead.config import Config
    from masthead.query.dialect import Dialect


class Answer(Protocol):
    """The rows of one query, once: what JSON knows, and times as text (RFC 3339, nanoseconds)."""

    columns: list[str]

    def chunks(self) -> Iterator[list[tuple[Any, ...]]]:
        """Give the rows, some at a time.

        Raises:
            QueryError: The engine gave up.
        """

    def rows(self) -> list[tuple[Any, ...]]:
        """Give all rows.

        Raises:
            QueryError: The engine gave up.
        """

    def close(self) -> None:
        """Stop the engine, if it still works."""


class Reader(Protocol):
    """Answers questions in one dialect."""

    @property
    def dialect(self) -> Dialect:
        """What it is asked in."""

    @property
    def problems(self) -> list[str]:
        """What of the store could not be read and is left out, one line each."""

    def relation(self, sql: str) -> Any:  # noqa: ANN401 - duckdb.DuckDBPyRelation; the library is loaded late
        """Give the answer as a DuckDB relation.

        Raises:
            QueryError: The query can't be answered.
        """

    def ask(self, sql: str, watch: Callable[[float | None], None] | None = None) -> Answer:
        """Give the answer as rows that come as they are found.

        Args:
            sql: One statement that reads.
            watch: Told again and again, while it takes long, how much is done (0 to 1; `None`: not known).

        Raises:
            QueryError: The query can't be answered.
        """

    def recheck(self) -> bool:
        """After an error: leave out what is damaged and say so in `problems`; tells whether there was any."""

    def close(self) -> None:
        """Let go of the store."""


def open_reader(place: str, config: Config, since_ns: int = 0) -> Reader:
    """Open a store.

    Args:
        place: A directory, or the address of a database.
        config: What a query may take.
        since_ns: What is older is not seen, nanoseconds since 1970: of a long history less has to be opened.

    Raises:
        ConfigError: It is an address that can't be read.
        StoreError: There is no store, or not one that this version can read.
    """
    limits = Limits.of(config)
    if is_address(place):
        from masthead.query.house import HouseReader  # noqa: PLC0415 - loaded when asked for

        address = Address.parse(place, config.store.password_file)
        return HouseReader(address, limits, since_ns, ca_file=config.store.ca_file)
    from masthead.query.duck import DuckReader  # noqa: PLC0415 - loaded when asked for

    return DuckReader(Path(place), limits, since_ns)
