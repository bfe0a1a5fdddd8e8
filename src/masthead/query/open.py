"""A store, opened for questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from masthead.query.answer import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from masthead.config import Config
    from masthead.query.answer import Answer
    from masthead.query.dialect import Dialect


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
        place: A directory.
        config: What a query may take.
        since_ns: What is older is not seen, nanoseconds since 1970: of a long history less has to be opened.

    Raises:
        StoreError: There is no store, or not one that this version can read.
    """
    limits = Limits.of(config)
    from masthead.query.duck import DuckReader  # noqa: PLC0415 - loaded when asked for

    return DuckReader(Path(place), limits, since_ns)
