"""Statements run by chDB, each on a connection of its own, so that settings end with the statement."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# After ClickHouse's documented reply codes: which errors are the caller's, by the names that end their texts.
STATUS = {
    401: {"REQUIRED_PASSWORD"},
    403: {"UNKNOWN_USER", "WRONG_PASSWORD", "AUTHENTICATION_FAILED", "ACCESS_DENIED"},
    404: {
        *("UNKNOWN_TABLE", "UNKNOWN_FUNCTION", "UNKNOWN_IDENTIFIER", "UNKNOWN_TYPE", "UNKNOWN_STORAGE"),
        *("UNKNOWN_DATABASE", "UNKNOWN_SETTING", "UNKNOWN_AGGREGATE_FUNCTION", "UNKNOWN_FORMAT"),
    },
    400: {
        *("BAD_ARGUMENTS", "SYNTAX_ERROR", "INCORRECT_DATA", "TYPE_MISMATCH", "DUPLICATE_COLUMN", "ILLEGAL_COLUMN"),
        *("CANNOT_PARSE_TEXT", "CANNOT_PARSE_QUOTED_STRING", "CANNOT_PARSE_DATETIME", "CANNOT_PARSE_NUMBER"),
        *("CANNOT_PARSE_INPUT_ASSERTION_FAILED", "THERE_IS_NO_COLUMN", "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE"),
    },
    408: {"TIMEOUT_EXCEEDED"},
    415: {"UNSUPPORTED_MEDIA_TYPE"},
    501: {"NOT_IMPLEMENTED"},
    503: {"SOCKET_TIMEOUT", "CANNOT_OPEN_FILE", "CANNOT_SCHEDULE_TASK"},
}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
READS = re.compile(rb"\s*(?:SELECT|WITH)\b", re.IGNORECASE)
FORM = re.compile(rb"\bFORMAT\s+(\w+)\s*(?:SETTINGS\b[^;]*)?;?\s*\Z", re.IGNORECASE)
# An insert whose data is binary: chDB takes a statement to its first `;`, and in such data one may stand anywhere.
BINARY = re.compile(rb"INSERT INTO (\w+) \(([^)]*)\) FORMAT (Arrow|ArrowStream|Parquet|Native)\n", re.IGNORECASE)
# Formats whose pieces, one after another, are one answer; others have a beginning and an end, and come whole.
ROWS = frozenset(
    {"TabSeparated", "TSV", "CSV", "JSONEachRow", "NDJSON", "JSONLines", "JSONCompactEachRow", "Native", "RowBinary"}
)


class RefusedError(Exception):
    """A refused statement: ClickHouse's text, its code, and the HTTP status for it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        code = re.search(r"Code: (\d+)", text)
        self.code = int(code[1]) if code else 0
        names = re.findall(r"\(([A-Z][A-Z0-9_]+)\)", text)
        found = [status for status, known in STATUS.items() if names and names[-1] in known]
        self.status = found[0] if found else 500


@dataclass(frozen=True)
class Statement:
    """A statement with the data that follows it, its format where it names none, its database and its settings."""

    text: bytes
    form: str
    database: str
    settings: dict[str, str]


@dataclass(frozen=True)
class Result:
    """An answer in pieces, the name of its format, and what was written."""

    pieces: Iterator[bytes]
    form: str
    summary: str = ""


class Engine:
    """ClickHouse over one folder. Statements run side by side."""

    def __init__(self, folder: str) -> None:
        # Half a gigabyte: only in the process that serves.
        self._connect: Callable[[str], Any] = import_module("chdb").connect
        self._folder = folder
        # The engine ends with its last connection, so one is kept.
        self._first = self._connect(folder)

    @contextmanager
    def run(self, statement: Statement) -> Iterator[Result]:
        """Run a statement; a refused one raises RefusedError, here or while its pieces are read."""
        connection = self._connect(self._folder)
        try:
            for name, value in statement.settings.items():
                self._set(connection, name, value)
            self._do(connection, f"USE `{statement.database.replace('`', '')}`")
            yield self._result(connection, statement)
        finally:
            connection.close()

    def _set(self, connection: Any, name: str, value: str) -> None:
        if not NAME.fullmatch(name):
            raise RefusedError(f"Code: 115. DB::Exception: Unknown setting '{name}'. (UNKNOWN_SETTING)")
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        self._do(connection, f"SET {name} = '{escaped}'")

    def _result(self, connection: Any, statement: Statement) -> Result:
        named = FORM.search(statement.text[-1000:])
        form = named[1].decode() if named else statement.form
        if READS.match(statement.text) and form in ROWS:
            return Result(self._streamed(connection, statement), form)
        inserted = BINARY.match(statement.text)
        if inserted:
            answer = self._insert(connection, inserted, statement.text[inserted.end() :])
        else:
            answer = self._do(connection, statement.text, statement.form)
        written = {"written_rows": str(answer.rows_written()), "written_bytes": str(answer.bytes_written())}
        return Result(iter([answer.bytes()]), form, json.dumps({"read_rows": str(answer.rows_read()), **written}))

    def _insert(self, connection: Any, inserted: re.Match[bytes], data: bytes) -> Any:
        table, columns, form = (part.decode() for part in inserted.groups())
        with NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            source = f"SELECT {columns} FROM file('{file.name}', {form})"
            return self._do(connection, f"INSERT INTO {table} ({columns}) {source}")

    def _do(self, connection: Any, text: str | bytes, form: str = "TabSeparated") -> Any:
        try:
            return connection.query(text, form)
        except RuntimeError as error:
            raise RefusedError(_text(error)) from error

    def _streamed(self, connection: Any, statement: Statement) -> Iterator[bytes]:
        try:
            for piece in connection.send_query(statement.text, statement.form):
                yield piece.bytes()
        except RuntimeError as error:
            raise RefusedError(_text(error)) from error


def _text(error: Exception) -> str:
    return str(error)[max(str(error).find("Code:"), 0) :]
