"""Rows that come while the engine still looks for more: bounded in memory and time, and stopped at any moment.

Their values are what JSON knows. Times are text (RFC 3339, nanoseconds): Python's have no nanoseconds.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import duckdb

from masthead.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from masthead.query.limits import Limits

# The first chunk is short: whoever looks at the screen waits for it.
FIRST_ROWS = 32
CHUNK_ROWS = 2_048
# Chunks that wait for whoever takes them.
WAITING = 4
_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI)
_RFC_3339 = "%Y-%m-%dT%H:%M:%S.%nZ"
# How DuckDB calls a column that is the call of a macro.
_HEADER = re.compile(r"""\"?header(_all)?"?\((request|response)_fields, ('(?:[^']|'')*')\)""")
# How long an interrupt (Ctrl-C) can go unnoticed.
_SLICE = 0.1


class Answer:
    """The rows of one query, once.

    Args:
        connection: A connection of its own.
        sql: What is asked, complete: one statement that only reads.
        limits: How long it may take.
        watch: Told again and again, while it takes long, how much is done.

    Attributes:
        columns: Their names.

    Raises:
        QueryError: The query can't be answered.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        sql: str,
        limits: Limits,
        watch: Callable[[float | None], None] | None = None,
    ) -> None:
        self._connection = connection
        self._watch = watch
        self._limits = limits
        self._began = time.monotonic()
        self._chunks: queue.Queue[list[tuple[Any, ...]] | BaseException | None] = queue.Queue(WAITING)
        self._ready = threading.Event()
        self._stopped = False
        self._refused: BaseException | None = None
        self.columns: list[str] = []
        self._thread = threading.Thread(target=self._work, args=(sql,), name="masthead-query", daemon=True)
        self._thread.start()
        self._await_columns()
        if self._refused is not None:
            raise self._explained(self._refused) from None

    @property
    def progress(self) -> float | None:
        """How much of the work is done, 0 to 1; `None` where it is not known."""
        share = self._connection.query_progress()
        return share / 100 if share >= 0 else None

    def chunks(self) -> Iterator[list[tuple[Any, ...]]]:
        """Give the rows, some at a time.

        Raises:
            QueryError: The engine gave up.
        """
        try:
            while (chunk := self._next()) is not None:
                yield chunk
        finally:
            self.close()

    def rows(self) -> list[tuple[Any, ...]]:
        """Give all rows.

        Raises:
            QueryError: The engine gave up.
        """
        return [row for chunk in self.chunks() for row in chunk]

    def close(self) -> None:
        """Stop the engine, if it still works."""
        self._stopped = True
        while self._thread.is_alive():
            self._connection.interrupt()
            self._drain()
            self._thread.join(_SLICE)

    def _next(self) -> list[tuple[Any, ...]] | None:
        while True:
            try:
                found = self._chunks.get(timeout=_SLICE)
            except queue.Empty:
                self._wait()
                continue
            if isinstance(found, BaseException):
                raise self._explained(found) from None
            return found

    def _await_columns(self) -> None:
        """Wait in slices, so that Ctrl-C is heard and the time limit holds."""
        try:
            while not self._ready.wait(_SLICE):
                self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        self._check_time()
        if self._watch:
            self._watch(self.progress)

    def _check_time(self) -> None:
        limit = self._limits.seconds
        if limit is not None and time.monotonic() - self._began > limit:
            raise QueryError(f"stopped after {limit:g} s", remedy="ask for less, or raise query.timeout (--timeout)")

    def _work(self, sql: str) -> None:
        try:
            result = self._connection.execute(with_text_times(self._connection, sql))
            self.columns = told_apart([_named(name) for name, *_ in result.description or []])
            self._ready.set()
            wanted = FIRST_ROWS
            while not self._stopped and (chunk := result.fetchmany(wanted)):
                self._chunks.put(chunk)
                wanted = min(CHUNK_ROWS, wanted * 8)
            self._chunks.put(None)
        except BaseException as error:  # noqa: BLE001 - handed over to who waits
            if self._ready.is_set():
                self._chunks.put(error)
            else:
                self._refused = error
                self._ready.set()

    def _drain(self) -> None:
        while True:
            try:
                self._chunks.get_nowait()
            except queue.Empty:
                return

    def _explained(self, error: BaseException) -> BaseException:
        return explained(error, self._limits)


def with_text_times(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Give the same query with times as text.

    Raises:
        QueryError: It is not one statement that reads.
    """
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type not in _READING:
        raise QueryError("not one statement that reads", remedy="ask one question at a time, with SELECT")
    if statements[0].type != duckdb.StatementType.SELECT:
        return sql
    body = statements[0].query.rstrip().rstrip(";")
    try:
        found = connection.execute(f"DESCRIBE {body}").fetchall()
    except duckdb.Error:
        # Executed as it is it fails likewise, and the message shows what was asked.
        return sql
    if not any(kind == "TIMESTAMP_NS" for _, kind, *_ in found):
        return sql
    columns = ", ".join(
        f"strftime(c{place}, '{_RFC_3339}') AS {_quoted(name)}"
        if kind == "TIMESTAMP_NS"
        else f"c{place} AS {_quoted(name)}"
        for place, (name, kind, *_) in enumerate(found)
    )
    names = ", ".join(f"c{place}" for place in range(len(found)))
    return f"SELECT {columns} FROM ({body}\n) AS answer({names})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _named(name: str) -> str:
    """Give a column the name under which it was asked for: `req('host')`."""
    return _HEADER.sub(
        lambda found: f"{found[2][: 3 if found[2] == 'request' else 4]}{found[1] or ''}({found[3]})", name
    )


def told_apart(names: Iterable[str]) -> list[str]:
    """Give each column a name of its own: `a`, `a_1`, `a_2`."""
    found: list[str] = []
    for name in names:
        tries = (name, *(f"{name}_{number}" for number in range(1, len(found) + 1)))
        found.append(next(candidate for candidate in tries if candidate not in found))
    return found


def explained(error: BaseException, limits: Limits) -> BaseException:
    """Give an engine's error in the user's terms; what is no engine's error stays as it is."""
    if not isinstance(error, duckdb.Error):
        return error
    text = str(error).strip()
    if isinstance(error, duckdb.OutOfMemoryException):
        what = f"the query needs more memory than it may have ({limits.memory / 1e6:,.0f} MB)"
        return QueryError(what, remedy="ask for less (fewer columns, a shorter time), or raise query.memory (--memory)")
    if isinstance(error, duckdb.PermissionException):
        return QueryError(text, remedy="a query reads the store and nothing else")
    return QueryError(text, remedy="docs/queries.md lists the columns and what can be asked")
