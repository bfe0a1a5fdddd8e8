"""A server that says exactly the bytes a test wants: each connection is given to a function of the test."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Self

from tests.e2e.waiting import DEADLINE
from tests.e2e.wire import Conn, Head

Handler = Callable[[Conn], None]


def listener(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Return a listening socket on a free port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen(64)
    return sock


class RawServer:
    """Runs `handler` for every connection, one after the other, until it is closed.

    What the handler raises is raised again when the server is closed, so that a test never passes over it.
    """

    def __init__(self, handler: Handler, sock: socket.socket | None = None) -> None:
        self._handler = handler
        self._sock = sock or listener()
        self._error: BaseException | None = None
        self._current: Conn | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.received: list[bytes] = []

        self.port = int(self._sock.getsockname()[1])

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            conn = self._current = Conn(sock)
            try:
                self._handler(conn)
            except (OSError, AssertionError, ValueError) as error:
                self._error = self._error or error
            finally:
                self.received.append(bytes(conn.received))
                conn.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # close() alone does not wake accept().
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._thread.join(DEADLINE)
        if kind is None:
            assert not self._thread.is_alive(), "a connection's handler did not end"
            if self._error is not None:
                raise self._error


def echo(conn: Conn) -> None:
    """Answer each request with a small 200 until the client ends; reads Content-Length and chunked bodies."""
    while True:
        try:
            head = Head(conn.until())
        except (AssertionError, ConnectionError):
            return
        read_body(conn, head)
        body = head.start.split(" ")[1].encode()
        length = str(len(body)).encode()
        if head.start.startswith("HEAD "):
            body = b""
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\nX-Served-By: raw\r\n\r\n" + body)


def read_body(conn: Conn, head: Head) -> bytes:
    """Read a request's body by its head."""
    if (head.value("transfer-encoding") or "").lower() == "chunked":
        return conn.chunks()[0]
    return conn.take(int(head.value("content-length") or 0))
