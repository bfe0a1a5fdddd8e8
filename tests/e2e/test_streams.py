"""Server-sent events and long polls: the first byte is timed at once, the row comes at the end."""

from __future__ import annotations

import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.capture import masthead
from tests.e2e.raw_server import RawServer
from tests.e2e.rows import both_ends, quality
from tests.e2e.waiting import DEADLINE, wait_for
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


def test_a_stream_under_way_can_be_seen_before_it_ends(capture: Capture) -> None:
    """`masthead tail --open` asks the running service; secrets are as hidden there as anywhere."""

    def handler(conn: Conn) -> None:
        conn.until()
        conn.send(HEAD + b"Set-Cookie: a=S3CRET\r\nConnection: close\r\n\r\n" + EVENT)
        assert seen.wait(DEADLINE)

    seen = threading.Event()
    config = str(capture.directory / "masthead.toml")

    def shown(*more: str) -> str:
        command = [*masthead(), "tail", "--open", "--config", config, *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True).stdout

    with RawServer(handler) as server, Conn.connect("127.0.0.1", server.port) as client:
        before = shown("--where", f"port == {server.port}")
        client.send(REQUEST.replace(b"events", b"events?key=S3CRET"))
        client.until()
        client.take(len(EVENT))
        where = ("--where", f"port == {server.port} and not duration", "--headers")
        text = wait_for(
            lambda: found if (found := shown(*where)).count("text/event-stream\n") == 4 else "", "both rows"
        )
        seen.set()
        client.to_end()
    wait_for(lambda: "events" not in shown(*where), "nothing is under way")
    assert "events" not in before
    assert text.count("GET") == 2
    assert "S3CRET" not in text
    rows = capture.finish(server.port)
    assert len(rows) == 2
    assert all(row["masthead"]["duration_ns"] for row in rows)
