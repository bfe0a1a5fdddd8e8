"""WebSockets over HTTP/1 (RFC 6455): the row of the exchange that opened one counts what went both ways."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.e2e.capture import lost
from tests.e2e.raw_server import RawServer
from tests.e2e.rows import assert_fields, both_ends, quality, request_fields, response_fields
from tests.e2e.wire import Conn, Head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from tests.e2e.capture import Capture, Row

pytestmark = pytest.mark.e2e

UPGRADE = (
    b"GET /chat?room=1 HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"


class Recorder(socket.socket):
    """A socket that keeps what went through it."""

    def __init__(self, port: int) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self.sent, self.received = bytearray(), bytearray()
        self.connect(("127.0.0.1", port))

    def sendall(self, data: Buffer, flags: int = 0) -> None:
        """Send and keep."""
        self.sent += data
        super().sendall(data, flags)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive and keep."""
        data = super().recv(size, flags)
        self.received += data
        return data


@contextmanager
def echo_server() -> Iterator[int]:
    server = pytest.importorskip("websockets.sync.server")

    def handler(connection: object) -> None:
        for message in connection:  # type: ignore[attr-defined]
            connection.send(message)  # type: ignore[attr-defined]

    with server.serve(handler, "127.0.0.1", 0) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield listening.socket.getsockname()[1]
        finally:
            listening.shutdown()
            thread.join()


def split(data: bytearray) -> tuple[Head, int]:
    """Give a head and the number of bytes behind it."""
    head, _, rest = bytes(data).partition(b"\r\n\r\n")
    return Head(head + b"\r\n\r\n"), len(rest)


def assert_websocket(row: Row, request: tuple[Head, int], response: tuple[Head, int]) -> None:
    for side, (head, size) in (("request", request), ("response", response)):
        assert_fields(request_fields(row) if side == "request" else response_fields(row), head.fields)
        assert row["masthead"][f"{side}_head_bytes"] == len(head.raw)
        assert row["http"][side]["body"]["size"] == size, side
    assert row["network"]["protocol"] == {"name": "websocket"}
    assert row["http"]["response"]["status_code"] == 101
    assert quality(row) == []


def test_a_conversation_is_one_row_with_its_bytes_and_its_duration(capture: Capture) -> None:
    client = pytest.importorskip("websockets.sync.client")
    with echo_server() as port:
        begun = time.monotonic_ns()
        recorder = Recorder(port)
        with client.connect("ws://a.example/chat?room=1", sock=recorder, compression=None) as talk:
            opened = time.monotonic_ns()
            for size in (0, 1, 125, 126, 65_535, 65_536, 900_000):
                message = b"x" * size
                talk.send(message)
                assert talk.recv() == message
            time.sleep(0.3)
            talk.send("last")
            assert talk.recv() == "last"
            talked = time.monotonic_ns()
    pairs = both_ends(capture.wait_rows(port, 2))
    ended = time.monotonic_ns()
    assert len(pairs) == 1
    for row in pairs[0]:
        assert_websocket(row, split(recorder.sent), split(recorder.received))
        own = row["masthead"]
        assert own["ttfb_ns"] < opened - begun
        assert talked - opened < own["duration_ns"] < ended - begun
        assert row["url"]["path"] == "/chat"
    capture.finish()
    assert capture.ledger is not None
    assert lost(capture.ledger) == 0
    # A record for each segment at most, and those of the heads, the process and the end.
    assert capture.ledger["records.not_http"] == 0


@pytest.mark.parametrize("server_ends", [True, False])
def test_whoever_ends_it_the_row_is_complete(capture: Capture, *, server_ends: bool) -> None:
    frames = [b"\x82\x05first", b"\x82\x06second", b"GET / HTTP/1.1\r\n\r\n"]

    def handler(conn: Conn) -> None:
        conn.until()
        # The first frame stands behind the head in one segment.
        conn.send(SWITCH % b"websocket" + frames[0])
        for frame in frames:
            conn.take(len(frame))
            conn.send(frame)
        if not server_ends:
            conn.to_end()

    def talk(client: Conn) -> None:
        client.send(UPGRADE)
        client.until()
        client.take(len(frames[0]))
        for frame in frames:
            client.send(frame)
            client.take(len(frame))
        if server_ends:
            client.to_end()

    count = sum(map(len, frames))
    with RawServer(handler) as server, Conn.connect("127.0.0.1", server.port) as client:
        talk(client)
    pairs = both_ends(capture.finish(server.port))
    assert len(pairs) == 1
    for row in pairs[0]:
        switch = Head(SWITCH % b"websocket")
        assert_websocket(row, (Head(UPGRADE), count), (switch, count + len(frames[0])))
        assert row["masthead"]["duration_ns"] > row["masthead"]["ttfb_ns"]


def test_what_is_no_websocket_is_left_alone(capture: Capture) -> None:
    def handler(conn: Conn) -> None:
        conn.until()
        conn.send(SWITCH % b"tcp")
        conn.take(100)
        conn.send(b"y" * 100)
        conn.to_end()

    with RawServer(handler) as server, Conn.connect("127.0.0.1", server.port) as client:
        client.send(UPGRADE)
        client.until()
        client.send(b"x" * 100)
        client.take(100)
    for pair in both_ends(capture.finish(server.port)):
        for row in pair:
            assert row["network"]["protocol"] == {"name": "http", "version": "1.1"}
            assert (row["http"]["request"]["body"]["size"], row["http"]["response"]["body"]["size"]) == (0, 0)


def test_a_reset_is_marked_and_leaves_the_duration_unknown(capture: Capture) -> None:
    def handler(conn: Conn) -> None:
        conn.until()
        conn.send(SWITCH % b"websocket")
        conn.take(5)
        conn.reset()

    with RawServer(handler) as server, Conn.connect("127.0.0.1", server.port) as client:
        client.send(UPGRADE)
        client.until()
        client.send(b"12345")
        with pytest.raises((ConnectionError, AssertionError)):
            client.take(1)
    for pair in both_ends(capture.finish(server.port)):
        for row in pair:
            assert quality(row) == ["reset"]
            assert row["http"]["request"]["body"]["size"] == 5
            assert "duration_ns" not in row["masthead"]
