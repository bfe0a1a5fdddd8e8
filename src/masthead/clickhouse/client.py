"""ClickHouse's HTTP interface: statements, inserts, and answers that come as they are found.

Source: ClickHouse's documentation, "HTTP Interface": the statement is a parameter or the body, settings are parameters,
credentials are the headers `X-ClickHouse-User` and `X-ClickHouse-Key`, errors come as a status with the text as body
and the code in `X-ClickHouse-Exception-Code`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

import urllib3

from masthead.delivery.http import Security, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from masthead.clickhouse.address import Address

CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
# An error's text, as far as anyone reads it.
_TEXT_BYTES = 4096
_CODE = re.compile(r"Code: (\d+)\. ")
_NO_RETRY = urllib3.Retry(total=0, connect=0, read=0, redirect=0, status=0, other=0)


class DatabaseError(Exception):
    """The database did not do it.

    Args:
        what: Why, in its words.
        code: ClickHouse's code of the error (`ErrorCodes.cpp`); 0 where nobody answered.
        unreachable: Whether nobody answered, or not to the end.
        status: HTTP's status; 0 where nobody answered.
    """

    def __init__(self, what: str, code: int = 0, *, unreachable: bool = False, status: int = 0) -> None:
        super().__init__(what)
        self.code = code
        self.status = status
        self.unreachable = unreachable


class Client:
    """Speaks to one server; threads may share it.

    Args:
        address: Where it is.
        ca_file: Certificates of the authorities that are trusted; empty: the system's.

    Raises:
        ConfigError: The certificates can't be read.
    """

    def __init__(self, address: Address, ca_file: str = "") -> None:
        self.address = address
        self._pool = urllib3.PoolManager(
            maxsize=4,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            retries=_NO_RETRY,
            ssl_context=Security(ca_file).context() if address.secure else None,
        )
        self._headers = {"X-ClickHouse-User": address.user} if address.user else {}
        if address.password:
            self._headers["X-ClickHouse-Key"] = address.password

    def execute(self, sql: str, settings: Mapping[str, str] | None = None) -> str:
        """Run a statement; gives what it answers, as text.

        Raises:
            DatabaseError: It failed.
        """
        response = self._request({**(settings or {})}, sql.encode())
        return self._read(response).decode(errors="replace")

    def insert(self, sql: str, data: bytes, settings: Mapping[str, str]) -> None:
        """Run `INSERT ... FORMAT ...` over data.

        Raises:
            DatabaseError: It failed, or may have failed.
        """
        self._read(self._request({"query": sql, **settings}, data))

    def stream(self, sql: str, settings: Mapping[str, str]) -> Stream:
        """Ask, and give the answer's bytes as they come.

        Raises:
            DatabaseError: The statement is wrong, or nobody answers.
        """
        return Stream(self._request({**settings}, sql.encode()))

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()

    def _request(self, parameters: Mapping[str, str], body: bytes) -> urllib3.BaseHTTPResponse:
        url = f"{self.address.url}?{urlencode({'database': self.address.database, **parameters})}"
        try:
            response = self._pool.request("POST", url, body=body, headers=self._headers, preload_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise DatabaseError(unreachable(error), unreachable=True) from error
        if response.status != 200:  # noqa: PLR2004 - OK
            text = response.read(_TEXT_BYTES).decode(errors="replace").strip()
            response.release_conn()
            raise refused(text or f"HTTP status {response.status}", response.headers, response.status)
        return response

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        try:
            return response.read()
        except urllib3.exceptions.HTTPError as error:
            raise DatabaseError(unreachable(error), unreachable=True) from error
        finally:
            response.release_conn()


class Stream:
    """An answer's bytes, once."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the connection; an answer that was not read to its end is cut off, which ends the query."""
        self.close()

    def chunks(self, size: int = 1 << 16) -> Iterator[bytes]:
        """Give the bytes, some at a time.

        Raises:
            DatabaseError: The server broke off.
        """
        try:
            yield from self._response.stream(size)
        except urllib3.exceptions.HTTPError as error:
            raise DatabaseError(unreachable(error), unreachable=True) from error

    def close(self) -> None:
        """Cut it off."""
        self._response.close()


def refused(text: str, headers: Mapping[str, str], status: int = 0) -> DatabaseError:
    """Make an error of what a server answered: one line, without the parts for its developers."""
    told = headers.get("X-ClickHouse-Exception-Code", "")
    found = _CODE.search(text)
    code = int(told) if told.isdecimal() else int(found[1]) if found else 0
    line = re.sub(r"^Code: \d+\. DB::Exception: ", "", text.splitlines()[0] if text else "")
    return DatabaseError(re.sub(r" \(version [^)]*\)+\s*$", "", line), code, status=status)
