"""ClickHouse's HTTP interface over chDB: the tests' ClickHouse, since a server proper can't be had from the registries.

A test part over the real engine: statements, types, formats, settings, errors, deduplication and TTL are ClickHouse's
own; only the HTTP around them is made here, after ClickHouse's documentation ("HTTP Interface"). One statement runs at
a time. Run as `python -m tests.sinks.chdb_server FOLDER PORT [PASSWORD]`.
"""

from __future__ import annotations

import re
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from chdb.session import Session

# What the interface itself reads of the URL; every other parameter is a setting of the statement.
_OWN = ("query", "database", "default_format", "query_id")
_INSERT = re.compile(r"INSERT INTO (\w+) \(([^)]*)\) FORMAT (\w+)\s*$")
_FORMAT = re.compile(r"\sFORMAT\s+(\w+)\s*$", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)\.")
# HTTPHandler.cpp: codes that have a status other than 500.
_STATUS = {516: 403, 497: 403, 60: 404, 81: 404, 62: 400, 47: 404, 164: 400}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    session: ClassVar[Session]
    password: ClassVar[str] = ""
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_GET(self) -> None:
        self._reply(200, b"Ok.\n")

    def do_POST(self) -> None:
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("X-ClickHouse-Key", "") != self.password:
            self._refuse("Code: 516. DB::Exception: default: Authentication failed. (AUTHENTICATION_FAILED)")
            return
        try:
            with self.lock:
                answer = self._run(parameters, body)
        except Exception as error:  # noqa: BLE001 - whatever the engine raises is its answer
            self._refuse(str(error))
        else:
            self._reply(200, answer)

    def _run(self, parameters: dict[str, str], body: bytes) -> bytes:
        settings = {name: value for name, value in parameters.items() if name not in _OWN}
        self.session.query(f"USE {parameters.get('database', 'default')}")
        insert = _INSERT.match(parameters.get("query", ""))
        if insert:
            return self._insert(insert, body, settings)
        text = "\n".join(piece for piece in (parameters.get("query", ""), body.decode()) if piece).strip()
        form = _FORMAT.search(text)
        chosen = form[1] if form else parameters.get("default_format", "TabSeparated")
        statement = text[: form.start()] if form else text
        if statement.lstrip("( \n").upper().startswith(("SELECT", "WITH", "DESCRIBE", "SHOW", "EXPLAIN", "INSERT")):
            statement += _clause(settings)
        return bytes(self.session.query(statement, chosen).bytes())

    def _insert(self, insert: re.Match[str], body: bytes, settings: dict[str, str]) -> bytes:
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            table, columns, form = insert.groups()
            source = f"SELECT {columns} FROM file('{file.name}', {form})"
            self.session.query(f"INSERT INTO {table} ({columns}) {source}{_clause(settings)}")
        return b""

    def _refuse(self, text: str) -> None:
        found = _CODE.search(text)
        code = int(found[1]) if found else 0
        self._reply(_STATUS.get(code, 500), f"{text} (version 26.9)\n".encode(), str(code))

    def _reply(self, status: int, body: bytes, code: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


def _clause(settings: dict[str, str]) -> str:
    """Write settings as a statement has them; a map is no text."""
    said = [f"{name} = {value}" if value.startswith("{") else f"{name} = '{value}'" for name, value in settings.items()]
    return f"\nSETTINGS {', '.join(said)}" if said else ""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main(folder: str, port: str, password: str = "") -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    Handler.session = Session(folder)
    Handler.session.query("CREATE DATABASE IF NOT EXISTS logs")
    Handler.password = password
    with Server(("127.0.0.1", int(port)), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
