"""DuckDB over the directory of a store: reads the store's files and nothing else."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import duckdb

from masthead.query.answer import Answer, explained
from masthead.query.dialect import Duck
from masthead.query.expand import expand
from masthead.store.kinds import ERRORS
from masthead.store.layout import SCHEMA_VERSION
from masthead.store.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from masthead.query.dialect import Dialect
    from masthead.query.limits import Limits
    from masthead.store.snapshot import Open

T = TypeVar("T")

_CHOSEN = "list_filter(fields, lambda f: lower(f.name) = lower(name))"
MACROS = (
    f"CREATE MACRO header(fields, name) AS {_CHOSEN}[1].value",
    f"CREATE MACRO header_all(fields, name) AS list_transform({_CHOSEN}, lambda f: f.value)",
)


class DuckReader:
    """Answers questions about the directory of a store, as it was when this was made.

    Args:
        root: The directory.
        limits: What a query may take.
        since_ns: What is older is not seen, nanoseconds since 1970.
        now_ns: The time that `ago` counts back from.

    Raises:
        StoreError: There is no store, or not one that this version can read.
    """

    dialect: Dialect = Duck()

    def __init__(self, root: Path, limits: Limits, since_ns: int = 0, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._limits = limits
        self._since_ns = since_ns
        self._now_ns = now_ns
        self._snapshot = Snapshot(root, since_ns)
        self._connection = self._connect()

    @property
    def problems(self) -> list[str]:
        """What could not be read and is left out, one line each."""
        return self._snapshot.problems

    def relation(self, sql: str) -> duckdb.DuckDBPyRelation:
        """Give the answer as a relation, which is worked out when it is used."""
        return self._explained(lambda: self._connection.sql(self._expand(sql)))

    def ask(self, sql: str, watch: Callable[[float | None], None] | None = None) -> Answer:
        """Give the answer as rows."""
        session = self._explained(lambda: self._seeing(self._connection.cursor()))
        return Answer(session, self._expand(sql), self._limits, watch)

    def recheck(self) -> bool:
        """After an error: leave out the parts that are damaged; tells whether there were any."""
        damaged = self._snapshot.check()
        if damaged:
            self._snapshot.leave_out(damaged)
            self._connection.close()
            self._connection = self._connect()
        return bool(damaged)

    def close(self) -> None:
        """Close the files."""
        self._connection.close()
        self._snapshot.close()

    def _expand(self, sql: str) -> str:
        return expand(sql, self.dialect, self._now_ns)

    def _explained(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except duckdb.Error as error:
            raise explained(error, self._limits) from error

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            config={
                "memory_limit": f"{self._limits.memory}B",
                "threads": self._limits.threads,
                "temp_directory": "",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        # Locked before any query is seen: from then on only these files can be read, and nothing can be written.
        connection.execute(f"SET allowed_paths = {_list(_names(self._snapshot.parts))}")
        connection.execute("SET enable_external_access = false")
        # A name in a query is never a variable of this program.
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET enable_progress_bar = true")
        connection.execute("SET enable_progress_bar_print = false")
        for macro in MACROS:
            connection.execute(macro)
        connection.execute("SET lock_configuration = true")
        return self._seeing(connection)

    def _seeing(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """Let a connection see the rows: what is registered is its own, and so must be the view of it."""
        connection.register("journal_rows", _Rows(self._snapshot))
        seen = f" WHERE time >= {self.dialect.time(self._since_ns)}" if self._since_ns else ""
        parts = self._snapshot.parts
        connection.execute(f"CREATE TEMP VIEW exchanges AS FROM ({_union(parts)}){seen}")
        errors = [held for held in parts if held.part.kind == ERRORS]
        connection.execute(f"CREATE TEMP VIEW failed_exchanges AS FROM ({_union(errors)}){seen}")
        return connection


class _Rows:
    """The rows of the journals, and a hold on the parts: an answer that is not worked out yet still needs the files."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __arrow_c_schema__(self) -> object:
        """Give the schema."""
        return self._snapshot.tail.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give the rows."""
        return self._snapshot.tail.__arrow_c_stream__(requested_schema)


def _union(parts: Iterable[Open]) -> str:
    """Put parts and journals together; parts of older versions lack columns, which are null then."""
    files: dict[int, list[str]] = {}
    for held in parts:
        files.setdefault(held.part.version, []).append(held.path)
    current = files.pop(SCHEMA_VERSION, [])
    # The journal has today's columns, so it comes first and gives their names and types.
    selects = ["FROM journal_rows"]
    selects += [f"FROM read_parquet({_list(current)})"] if current else []
    older = [f"FROM read_parquet({_list(paths)})" for paths in files.values()]
    return " UNION ALL BY NAME ".join([*selects, *older])


def _names(parts: Iterable[Open]) -> Iterator[str]:
    """Give the names under which DuckDB may open parts: it resolves links, and a deleted file's link says so."""
    for held in parts:
        name = str(Path(held.path).readlink())
        yield from (name, f"{name} (deleted)")


def _list(texts: Iterable[str]) -> str:
    return "[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]"
