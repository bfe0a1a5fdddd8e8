"""Rows that come while the engine still looks for more: bounded in memory and time, and stopped at any moment."""

from __future__ import annotations

import os
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from masthead.config.units import age_seconds, size_bytes
from masthead.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masthead.config import Config

CHUNK_ROWS = 2_048
# Chunks that wait for whoever takes them.
WAITING = 4
# How long an interrupt (Ctrl-C) can go unnoticed.
_SLICE = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may take.

    Attributes:
        memory: Bytes.
        seconds: Time; `None`: as long as it takes.
        threads: Processors.
    """

    memory: int = 1_000_000_000
    seconds: float | None = 300
    threads: int = 1

    @classmethod
    def of(cls, config: Config) -> Limits:
        """Read them from the settings."""
        query = config.query
        threads = query.threads or os.cpu_count() or 1
        return cls(int(size_bytes(query.memory)), age_seconds(query.timeout), threads)


class Answer:
    """The rows of one query, once.

    Args:
        connection: A connection of its own.
        sql: What is asked, complete.
        limits: How long it may take.

    Attributes:
        columns: Their names.

    Raises:
        QueryError: The query can't be answered.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, sql: str, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits
        self._began = time.monotonic()
        self._chunks: queue.Queue[list[tuple[Any, ...]] | BaseException | None] = queue.Queue(WAITING)
        self._ready = threading.Event()
        self._stopped = False
        self.columns: list[str] = []
        self._thread = threading.Thread(target=self._work, args=(sql,), name="masthead-query", daemon=True)
        self._thread.start()
        self._await(self._ready.is_set)

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
        self._await(lambda: not self._chunks.empty())
        found = self._chunks.get()
        if isinstance(found, BaseException):
            raise self._explained(found)
        return found

    def _await(self, done: Any) -> None:  # noqa: ANN401 - a condition
        """Wait in slices, so that Ctrl-C is heard and the time limit holds."""
        try:
            while not done():
                self._ready.wait(_SLICE) if not self._ready.is_set() else time.sleep(0.001)
                self._check_time()
        except BaseException:
            self.close()
            raise

    def _check_time(self) -> None:
        limit = self._limits.seconds
        if limit is not None and time.monotonic() - self._began > limit:
            raise QueryError(f"stopped after {limit:g} s", remedy="ask for less, or raise query.timeout (--timeout)")

    def _work(self, sql: str) -> None:
        try:
            result = self._connection.execute(sql)
            self.columns = [name for name, *_ in result.description or []]
            self._ready.set()
            while not self._stopped and (chunk := result.fetchmany(CHUNK_ROWS)):
                self._chunks.put(chunk)
            self._chunks.put(None)
        except BaseException as error:  # noqa: BLE001 - handed over to who waits
            self._chunks.put(error)
        finally:
            self._ready.set()

    def _drain(self) -> None:
        while True:
            try:
                self._chunks.get_nowait()
            except queue.Empty:
                return

    def _explained(self, error: BaseException) -> BaseException:
        return explained(error, self._limits)


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
