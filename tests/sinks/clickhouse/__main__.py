"""ClickHouse's HTTP interface over chDB: the tests' ClickHouse, where a server proper can't be had.

A test part over the real engine. chDB is ClickHouse within a process, so statements, types, formats, settings, errors
and deduplication are ClickHouse's own; only the HTTP around them is made here, after ClickHouse's documentation ("HTTP
Interface"). Not there: sessions, several users, temporary tables of a request, progress in headers.

    python -m tests.sinks.clickhouse FOLDER PORT [USER PASSWORD]
"""

from __future__ import annotations

import sys
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from tests.sinks.clickhouse.statements import Engine, RefusedError, Statement
from tests.sinks.clickhouse.transfer import Packing, content

if TYPE_CHECKING:
    from collections.abc import Iterable

# What the interface itself reads of the URL; every other parameter is a setting of the engine.
OWN = frozenset(
    {"query", "database", "default_format", "query_id", "user", "password", "buffer_size", "wait_end_of_query"}
)
GREETING = b"Ok.\n"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "ClickHouse-over-chDB"
    engine: ClassVar[Engine]
    user: ClassVar[str] = "default"
    password: ClassVar[str] = ""
    _identity = ""

    def do_GET(self) -> None:
        if urlsplit(self.path).path in {"/", "/ping"} and "?" not in self.path:
            self._reply(200, [GREETING])
        else:
            self._answer(writes=False)

    def do_POST(self) -> None:
        self._answer(writes=True)

    def _answer(self, *, writes: bool) -> None:
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        self._identity = parameters.get("query_id") or str(uuid4())
        try:
            body = content(self.headers, self.rfile)
            self._admit(parameters)
            # The interface reads the parameter and the body as one text: a statement may be split between them.
            query = parameters.get("query", "").encode()
            text = b"\n".join(piece for piece in (query, body) if piece)
            settings = {name: value for name, value in parameters.items() if name not in OWN}
            if not writes:
                settings.setdefault("readonly", "2")
            database = parameters.get("database") or self.headers.get("X-ClickHouse-Database") or "default"
            wanted = parameters.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated"
            self._run(Statement(text, wanted, database, settings))
        except RefusedError as failure:
            self._fail(failure)

    def _run(self, statement: Statement) -> None:
        with self.engine.run(statement) as result:
            # The first piece comes before the status, so that most failures still have a status of their own.
            first = next(result.pieces, b"")
            headers = {"X-ClickHouse-Format": result.form}
            if result.summary:
                headers["X-ClickHouse-Summary"] = result.summary
            self._begin(200, headers)
            packing = Packing(self.headers, statement.settings)
            if packing.used:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                self._chunks(packing.pack([first]))
                self._chunks(packing.pack(result.pieces))
            except RefusedError as failure:
                # Too late for a status: what went wrong ends the body, and the connection ends without a last chunk.
                self._chunks(packing.pack([f"\r\n__exception__\r\n{failure.text}\n".encode()]))
                self.close_connection = True
                return
            self._chunks([packing.rest()])
            self.wfile.write(b"0\r\n\r\n")

    def _admit(self, parameters: dict[str, str]) -> None:
        user = parameters.get("user") or self.headers.get("X-ClickHouse-User")
        key = parameters.get("password") or self.headers.get("X-ClickHouse-Key")
        scheme, _, credentials = self.headers.get("Authorization", "").partition(" ")
        if user is None and scheme.lower() == "basic":
            user, _, key = b64decode(credentials).decode().partition(":")
        user = user or "default"
        if (user, key or "") != (self.user, self.password):
            reason = "Authentication failed: password is incorrect, or there is no user with such name"
            raise RefusedError(f"Code: 516. DB::Exception: {user}: {reason}. (AUTHENTICATION_FAILED)")

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        own = {"X-ClickHouse-Query-Id": self._identity, "X-ClickHouse-Server-Display-Name": "chdb"}
        for name, value in {**own, "X-ClickHouse-Timezone": "UTC", **headers}.items():
            self.send_header(name, value)

    def _fail(self, failure: RefusedError) -> None:
        self._reply(failure.status, [failure.text.encode(), b"\n"], {"X-ClickHouse-Exception-Code": str(failure.code)})

    def _reply(self, status: int, body: list[bytes], headers: dict[str, str] | None = None) -> None:
        self._begin(status, headers or {})
        self.send_header("Content-Length", str(sum(map(len, body))))
        self.end_headers()
        self.wfile.write(b"".join(body))

    def _chunks(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            if piece:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main(folder: str, port: str, user: str = "default", password: str = "") -> None:
    Handler.engine = Engine(folder)
    Handler.user, Handler.password = user, password
    with Server(("127.0.0.1", int(port)), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
