"""ClickHouse over a database that many hosts write to: only reads, within the limits of a query."""

from __future__ import annotations

import json
import math
import re
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from masthead.clickhouse.client import Client, DatabaseError
from masthead.clickhouse.tables import FAILED, TABLE
from masthead.errors import QueryError
from masthead.extension import native
from masthead.query.dialect import ClickHouse
from masthead.query.expand import expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb

    from masthead.clickhouse.address import Address
    from masthead.clickhouse.client import Stream
    from masthead.query.dialect import Dialect
    from masthead.query.limits import Limits

CHUNK_ROWS = 2_048
# Behind all other settings: from then on a query can change neither rows nor settings, nor reach files or servers.
_LOCKED = {"readonly": "1"}
# ErrorCodes.cpp
_TOO_LONG, _TOO_MUCH_MEMORY, _READ_ONLY = (159, 160), 241, 164
_UNPREPARED = (60, 81)
_TIME = re.compile(r"(?:Nullable\()?DateTime64\(")
_LAST_FORMAT = re.compile(r"\bFORMAT\s+\w+\s*;?\s*$", re.IGNORECASE)


class HouseReader:
    """Answers questions about a database.

    Args:
        address: Where it is.
        limits: What a query may take there.
        since_ns: What is older is not seen, nanoseconds since 1970.
        now_ns: The time that `ago` counts back from.
        ca_file: Certificates of the authorities that are trusted.
    """

    dialect: Dialect = ClickHouse()

    def __init__(
        self,
        address: Address,
        limits: Limits,
        since_ns: int = 0,
        now_ns: Callable[[], int] = time.time_ns,
        ca_file: str = "",
    ) -> None:
        self._client = Client(address, ca_file)
        self._limits = limits
        self._since_ns = since_ns
        self._now_ns = now_ns
        # Answers that were fetched whole lie here until the reader is closed.
        self._fetched: list[tempfile.TemporaryDirectory[str]] = []

    @property
    def problems(self) -> list[str]:
        """Nothing is left out: the database answers as a whole or not at all."""
        return []

    def relation(self, sql: str) -> duckdb.DuckDBPyRelation:
        """Give the answer as a relation of DuckDB; it is fetched now, into a file."""
        import duckdb  # noqa: PLC0415 - loaded when asked for

        folder = tempfile.TemporaryDirectory(prefix="masthead-")
        self._fetched.append(folder)
        path = Path(folder.name) / "answer.arrows"
        form = {"output_format_arrow_string_as_string": "1", "output_format_arrow_compression_method": "zstd"}
        settings = {**self._settings(), **form, **_LOCKED}
        try:
            with (
                path.open("wb") as file,
                self._client.stream(f"{self._sql(sql)}\nFORMAT ArrowStream", settings) as found,
            ):
                for piece in found.chunks():
                    file.write(piece)
        except DatabaseError as error:
            raise self._explained(error) from error
        return duckdb.from_arrow(native().StreamFile(str(path)))

    def ask(self, sql: str, watch: Callable[[float | None], None] | None = None) -> HouseAnswer:
        """Give the answer as rows."""
        settings = {
            **self._settings(),
            "output_format_json_quote_64bit_integers": "0",
            "output_format_json_quote_denormals": "0",
            "output_format_json_named_tuples_as_objects": "1",
            **_LOCKED,
        }
        asked = f"{self._sql(sql)}\nFORMAT JSONCompactEachRowWithNamesAndTypes"
        return HouseAnswer(lambda: self._client.stream(asked, settings), self._explained, watch)

    def recheck(self) -> bool:
        """Nothing can be left out."""
        return False

    def close(self) -> None:
        """Let go of the connections and of what was fetched."""
        self._client.close()
        for folder in self._fetched:
            folder.cleanup()

    def _sql(self, sql: str) -> str:
        body = sql.strip().rstrip(";").rstrip()
        if _LAST_FORMAT.search(body):
            raise QueryError("FORMAT is not for a query to say", remedy="leave it out; --output says in which form")
        return expand(body, self.dialect, self._now_ns)

    def _settings(self) -> dict[str, str]:
        limits = self._limits
        settings = {"max_memory_usage": str(limits.memory), "max_threads": str(limits.threads)}
        if limits.seconds is not None:
            settings["max_execution_time"] = f"{limits.seconds:g}"
        if self._since_ns:
            seen = f"time >= {self.dialect.time(self._since_ns)}".replace("'", "\\'")
            database = self._client.address.database
            filters = ", ".join(f"'{database}.{table}': '{seen}'" for table in (TABLE, FAILED))
            settings["additional_table_filters"] = f"{{{filters}}}"
        return settings

    def _explained(self, error: DatabaseError) -> QueryError:
        place = str(self._client.address)
        if error.unreachable:
            return QueryError(f"no answer: {error}", place, "check the address (store.path) and the network")
        if error.code in _TOO_LONG:
            remedy = "ask for less, or raise query.timeout (--timeout)"
            # A limit of the user's own account, where we set none.
            after = "by the database" if self._limits.seconds is None else f"after {self._limits.seconds:g} s"
            return QueryError(f"stopped {after}", remedy=remedy)
        if error.code == _TOO_MUCH_MEMORY:
            what = f"the query needs more memory than it may have ({self._limits.memory / 1e6:,.0f} MB)"
            remedy = "ask for less (fewer columns, a shorter time), or raise query.memory (--memory)"
            return QueryError(what, remedy=remedy)
        if error.code == _READ_ONLY:
            return QueryError(str(error), remedy="a query reads the store and nothing else")
        if error.code in _UNPREPARED:
            return QueryError(str(error), place, "masthead store init makes the tables")
        return QueryError(str(error), remedy="docs/queries.md lists the columns and what can be asked")


class HouseAnswer:
    """The rows of one query, once; their values are what JSON knows, times are text (RFC 3339, nanoseconds).

    Args:
        ask: Sends the query.
        explain: Puts an error into the user's terms.
        watch: Told again and again, while nothing comes, how much is done; here that is not known.

    Attributes:
        columns: Their names.

    Raises:
        QueryError: The query can't be answered.
    """

    progress = None

    def __init__(
        self,
        ask: Callable[[], Stream],
        explain: Callable[[DatabaseError], QueryError],
        watch: Callable[[float | None], None] | None = None,
    ) -> None:
        self._explain = explain
        with _Watched(watch):
            try:
                self._stream = ask()
                self._lines = _lines(self._stream)
                self.columns: list[str] = _next(self._lines)
                kinds: list[str] = _next(self._lines)
            except DatabaseError as error:
                raise explain(error) from error
        self._times = [place for place, kind in enumerate(kinds) if _TIME.match(kind)]

    def chunks(self) -> Iterator[list[tuple[Any, ...]]]:
        """Give the rows, some at a time.

        Raises:
            QueryError: The engine gave up.
        """
        chunk: list[tuple[Any, ...]] = []
        try:
            for row in self._lines:
                for place in self._times:
                    row[place] = _rfc_3339(row[place])
                chunk.append(tuple(row))
                if len(chunk) == CHUNK_ROWS:
                    yield chunk
                    chunk = []
            if chunk:
                yield chunk
        except DatabaseError as error:
            raise self._explain(error) from error
        finally:
            self.close()

    def rows(self) -> list[tuple[Any, ...]]:
        """Give all rows.

        Raises:
            QueryError: The engine gave up.
        """
        return [row for chunk in self.chunks() for row in chunk]

    def close(self) -> None:
        """Stop the query, if it still runs: it ends with its connection."""
        self._stream.close()


class _Watched:
    """Tells while the main thread waits."""

    def __init__(self, watch: Callable[[float | None], None] | None) -> None:
        self._watch = watch
        self._done = threading.Event()

    def __enter__(self) -> None:
        if self._watch:
            threading.Thread(target=self._tell, args=(self._watch,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _tell(self, watch: Callable[[float | None], None]) -> None:
        while not self._done.wait(0.1):
            watch(None)


def _lines(stream: Stream) -> Iterator[list[Any]]:
    rest = b""
    for piece in stream.chunks():
        *lines, rest = (rest + piece).split(b"\n")
        yield from map(_row, lines)
    if rest.strip():
        yield _row(rest)


def _next(lines: Iterator[list[Any]]) -> list[Any]:
    """Give the next line of an answer's beginning, which every answer has."""
    line = next(lines, None)
    if line is None:
        raise DatabaseError("the answer ended before it began", unreachable=True)
    return line


def _row(line: bytes) -> list[Any]:
    try:
        row = json.loads(line)
    except ValueError:
        # The server tells of an error that came late where a row would stand.
        text = line.decode(errors="replace").strip()
        raise DatabaseError(text) from None
    if not isinstance(row, list):
        raise DatabaseError(str(row.get("exception", row)) if isinstance(row, dict) else str(row))
    return [None if isinstance(value, float) and not math.isfinite(value) else value for value in row]


def _rfc_3339(text: str | None) -> str | None:
    return None if text is None else f"{text.replace(' ', 'T')}Z"
