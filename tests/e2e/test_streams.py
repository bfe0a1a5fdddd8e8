"""Server-sent events and long polls: the first byte is timed at once, the row comes at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.raw_server import RawServer
from tests.e2e.rows import both_ends, quality
from tests.e2e.wire import Conn

if TYPE_CHECKING:
    from tests.e2e.capture import Capture

pytestmark = pytest.mark.e2e

SECOND = 1_000_000_000
REQUEST = b"GET /events HTTP/1.1\r\nHost: a.example\r\nAccept: text/event-stream\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
EVENT = b"id: 1\ndata: GET / HTTP/1.1\n\n"


@pytest.mark.parametrize("chunked", [True, False])
def test_a_stream_of_events_has_its_first_byte_and_its_whole_duration(capture: Capture, *, chunked: bool) -> None:
    frame = b"%x\r\n%s\r\n" % (len(EVENT), EVENT) if chunked else EVENT
    events = 8

    def handler(conn: Conn) -> None:
        conn.until()
        conn.send(HEAD + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Connection: close\r\n\r\n"))
        for _ in range(events):
            time.sleep(0.25)
            conn.send(frame)
        if chunked:
            conn.send(b"0\r\n\r\n")
            conn.to_end()

    with RawServer(handler) as server, Conn.connect("127.0.0.1", server.port) as client:
        client.send(REQUEST)
        client.until()
        if chunked:
            client.chunks()
        else:
            client.to_end()
    pairs = both_ends(capture.finish(server.port))
    assert len(pairs) == 1
    for row in pairs[0]:
        own = row["masthead"]
        assert quality(row) == []
        assert own["ttfb_ns"] < SECOND // 4
        assert 2 * SECOND <= own["duration_ns"] < 4 * SECOND
        assert row["http"]["response"]["body"]["size"] == events * len(frame) + (5 if chunked else 0)


def test_a_long_poll_has_its_wait_before_the_first_byte(capture: Capture) -> None:
    def handler(conn: Conn) -> None:
        conn.until()
        time.sleep(1)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        conn.to_end()

    with RawServer(handler) as server, Conn.connect("127.0.0.1", server.port) as client:
        client.call(REQUEST)
    for pair in both_ends(capture.finish(server.port)):
        for row in pair:
            assert SECOND <= row["masthead"]["ttfb_ns"] <= row["masthead"]["duration_ns"] < 2 * SECOND
