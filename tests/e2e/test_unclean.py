"""Traffic that is broken, cut off, oversized or no HTTP at all: marked for what it is, never guessed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.e2e.processes import running
from tests.e2e.raw_server import Handler, RawServer, echo
from tests.e2e.rows import assert_fields, assert_request, assert_row, both_ends, quality, request_fields, role, targets
from tests.e2e.servers import free_port, listening
from tests.e2e.test_framing import FAKE_REQUEST, answer, get, seen, void
from tests.e2e.waiting import wait_for
from tests.e2e.wire import Conn, Head

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.capture import Capture

pytestmark = pytest.mark.e2e

MALFORMED = {
    "no colon": b"GET /bad HTTP/1.1\r\nHost: a.example\r\nno colon here\r\n\r\n",
    "white space before the colon": b"GET /bad HTTP/1.1\r\nHost : a.example\r\n\r\n",
    "bare carriage return": b"GET /bad HTTP/1.1\r\nHost: a.example\r\nX-Bad: a\rb\r\n\r\n",
    "NUL in a value": b"GET /bad HTTP/1.1\r\nHost: a.example\r\nX-Bad: a\0b\r\n\r\n",
    "invalid name": b"GET /bad HTTP/1.1\r\nHost: a.example\r\nX(Bad): a\r\n\r\n",
    "two lengths": b"GET /bad HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "length and encoding": b"GET /bad HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "leading white space": b"GET /bad HTTP/1.1\r\n X-Bad: a\r\nHost: a.example\r\n\r\n",
}


@pytest.mark.parametrize("head", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_head_is_logged_and_says_what_is_wrong(capture: Capture, head: bytes) -> None:
    refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def handler(conn: Conn) -> None:
        conn.until()
        conn.send(answer(b"good"))
        conn.until()
        conn.send(refusal)

    def talk(client: Conn) -> None:
        client.call(get("/good"))
        client.send(head)
        client.response()

    pairs = seen(capture, handler, talk)
    assert targets([server for server, _ in pairs]) == ["/good", "/bad"]
    for row in pairs[1]:
        assert "malformed" in quality(row)
        assert row["masthead"]["fault"]
        assert row["http"]["response"]["status_code"] == 400


def test_something_that_is_no_request_after_a_request_is_logged_as_malformed(capture: Capture) -> None:
    def handler(conn: Conn) -> None:
        conn.until()
        conn.send(answer(b"good"))
        conn.until()
        conn.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    def talk(client: Conn) -> None:
        client.call(get("/good"))
        client.send(b"\x16\x03\x01 what is this\r\n\r\n")
        client.response()

    pairs = seen(capture, handler, talk)
    assert len(pairs) == 2
    assert all("malformed" in quality(row) for row in pairs[1])


def test_a_request_that_is_reset_in_its_head_is_marked_reset(capture: Capture) -> None:
    def handler(conn: Conn) -> None:
        with pytest.raises(ConnectionResetError):
            conn.until()

    def talk(client: Conn) -> None:
        client.send(b"GET /cut HTTP/1.1\r\nHost: a.example\r\nX-Ten")
        client.reset()

    with RawServer(handler) as server:
        client = Conn.connect("127.0.0.1", server.port)
        talk(client)
    rows = capture.finish(server.port)
    assert sorted(row["masthead"]["role"] for row in rows) == ["client", "server"]
    for row in rows:
        assert {"reset", "no_response"} <= set(quality(row))
        assert ["Host", "a.example"] in request_fields(row)
        assert not [name for name, _ in request_fields(row) if name == "X-Tenant"]


def test_a_response_that_is_reset_in_its_body_is_marked_reset(capture: Capture) -> None:
    def handler(conn: Conn) -> None:
        conn.until()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
        conn.take(1)
        conn.reset()

    def talk(client: Conn) -> None:
        client.send(get("/cut"))
        client.until(b"part")
        client.send(b"G")
        with pytest.raises(ConnectionResetError):
            client.to_end()

    with RawServer(handler) as server, Conn.connect("127.0.0.1", server.port) as client:
        talk(client)
    rows = capture.finish(server.port)
    for name in ("server", "client"):
        row = role(rows, name)[0]
        assert_request(row, Head(get("/cut")))
        assert row["http"]["response"]["status_code"] == 200
        assert "reset" in quality(row)


def test_a_request_that_is_never_answered_is_marked_no_response(capture: Capture) -> None:
    def talk(client: Conn) -> None:
        client.send(get("/a"))
        client.to_end()

    pairs = seen(capture, lambda conn: void(conn.until()), talk)
    assert len(pairs) == 1
    for row in pairs[0]:
        assert_request(row, Head(get("/a")))
        assert "no_response" in quality(row)
        assert "status_code" not in row["http"].get("response", {})


def test_a_connection_that_began_before_the_capture_is_read_from_the_next_head(
    capture_with: Callable[..., Capture],
) -> None:
    with RawServer(echo) as server, Conn.connect("127.0.0.1", server.port) as client:
        client.call(get("/before"))
        capture = capture_with()
        for number in range(3):
            client.call(get(f"/after/{number}", "X-Tenant: acme\r\n"))
        rows = capture.finish(server.port)
    served, called = role(rows, "server"), role(rows, "client")
    assert targets(served) == [f"/after/{number}" for number in range(3)]
    # The kernel does not tell whether a client that sends was in the middle of a message: its first call is known by
    # the response alone, and says so.
    assert {"joined", "no_request"} <= set(quality(called[0]))
    assert targets(called[1:]) == ["/after/1", "/after/2"]
    for row in served + called[1:]:
        assert ["X-Tenant", "acme"] in request_fields(row)
        # Nothing of these messages is missing; only who owns an older socket shows when it is used next.
        assert set(quality(row)) <= {"joined", "process_unknown"}


def test_a_body_that_was_under_way_at_the_start_gives_no_unmarked_row(capture_with: Callable[..., Capture]) -> None:
    body = b"x" * 1000 + FAKE_REQUEST + b"y" * 1000

    with RawServer(echo) as server, Conn.connect("127.0.0.1", server.port) as client:
        client.send(b"POST /before HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n" % len(body))
        client.send(body[:500])
        capture = capture_with()
        client.send(body[500:1000])
        client.send(body[1000:])
        client.response()
        for number in range(3):
            client.call(get(f"/after/{number}"))
        rows = capture.finish(server.port)
    assert not [row for row in rows if row["masthead"].get("target") == "/fake" and not quality(row)]
    for name in ("server", "client"):
        assert {"/after/1", "/after/2"} <= {row["masthead"].get("target") for row in role(rows, name)}


def test_a_head_of_1200_fields_is_complete(capture: Capture) -> None:
    head = get("/many", "".join(f"F{number}: {number % 7}\r\n" for number in range(1200)))
    assert len(head) < 16_384
    pairs = seen(capture, echo, lambda client: void(client.call(head)))
    for row in pairs[0]:
        assert_row(row, Head(head), None)


def test_a_head_above_the_limit_is_marked_cut_and_what_is_logged_is_true(capture: Capture) -> None:
    head = get("/big", "".join(f"X-Field-{number}: {'v' * 80}\r\n" for number in range(220)))
    assert len(head) > 20_000

    def talk(client: Conn) -> None:
        client.call(head)
        client.call(get("/next"))

    pairs = seen(capture, echo, talk)
    assert targets([server for server, _ in pairs]) == ["/big", "/next"]
    sent = Head(head).fields
    for row in pairs[0]:
        assert "cut" in quality(row)
        assert row["masthead"]["request_head_bytes"] == len(head)
        logged = request_fields(row)
        assert 100 < len(logged) < len(sent)
        assert logged == sent[: len(logged)]
    for row in pairs[1]:
        assert_row(row, Head(get("/next")), None)


def test_a_head_of_200_kb_is_complete_under_a_limit_of_256_kb(capture_with: Callable[..., Capture]) -> None:
    head = get("/huge", "".join(f"X-Field-{number}: {'v' * 1000}\r\n" for number in range(200)))
    capture = capture_with("--max-head-bytes", "262144")
    response = answer(b"x", b"".join(b"X-Back-%d: %s\r\n" % (number, b"w" * 1000) for number in range(200)))

    def handler(conn: Conn) -> None:
        for _ in range(2):
            conn.until()
            conn.send(response)
        conn.to_end()

    def talk(client: Conn) -> None:
        client.call(head)
        client.call(get("/next"))

    pairs = seen(capture, handler, talk)
    assert len(pairs) == 2
    for row in pairs[0]:
        assert_row(row, Head(head), Head(response[:-1]))


def test_bytes_that_are_no_utf_8_are_escaped_and_marked(capture: Capture) -> None:
    head = b"GET /latin HTTP/1.1\r\nHost: a.example\r\nX-Latin: caf\xe9 \\o/\r\nX-Text: caf\xc3\xa9 \\o/\r\n\r\n"
    pairs = seen(capture, echo, lambda client: void(client.call(head)))
    for row in pairs[0]:
        fields = [["Host", "a.example"], ["X-Latin", "caf\\xe9 \\\\o/"], ["X-Text", "caf\u00e9 \\o/"]]
        assert_fields(request_fields(row), fields)
        assert quality(row) == ["escaped"]


CONVERSATIONS: dict[str, list[tuple[bytes, bytes]]] = {
    "smtp": [
        (b"", b"220 mail.example ESMTP\r\n"),
        (b"EHLO a.example\r\n", b"250-mail.example\r\n250 PIPELINING\r\n"),
        (b"MAIL FROM:<a@a.example>\r\n", b"250 ok\r\n"),
        (b"DATA\r\n", b"354 go on\r\n"),
        (b"Subject: hi\r\n\r\n" + FAKE_REQUEST + b".\r\n", b"250 ok\r\n"),
    ],
    "memcached": [
        (b"set key 0 0 5\r\nvalue\r\n", b"STORED\r\n"),
        (b"get key\r\n", b"VALUE key 0 5\r\nvalue\r\nEND\r\n"),
        (b"delete key\r\n", b"DELETED\r\n"),
        (b"stats\r\n", b"STAT pid 1\r\nEND\r\n"),
    ],
    "nats": [(b"", b'INFO {"server_id":"x"}\r\n'), (b"CONNECT {}\r\n", b"+OK\r\n"), (b"SUB foo 1\r\n", b"+OK\r\n")],
    "redis": [(b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"), (b"GET key\r\n", b"$-1\r\n"), (b"SET a b\r\n", b"+OK\r\n")],
    "tls": [(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), b"\x16\x03\x03\x00\x7a" + bytes(100))],
}


def speaks(turns: list[tuple[bytes, bytes]]) -> Handler:
    def handler(conn: Conn) -> None:
        for asked, said in turns:
            conn.take(len(asked))
            conn.send(said)
        conn.to_end()

    return handler


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_protocols_that_are_not_http_give_no_rows(capture: Capture, name: str) -> None:
    turns = CONVERSATIONS[name]

    def talk(client: Conn) -> None:
        for asked, said in turns:
            client.send(asked)
            client.take(len(said))

    assert seen(capture, speaks(turns), talk) == []


def test_a_real_redis_gives_no_rows(capture: Capture, tmp_path: Path) -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--dir", str(tmp_path), "--bind", "127.0.0.1"]
    with running(command, tmp_path / "output"):
        wait_for(lambda: listening(port), "redis accepts connections")
        with Conn.connect("127.0.0.1", port) as client:
            for _ in range(100):
                client.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$36\r\n" + FAKE_REQUEST + b"\r\n")
                assert client.until(b"\r\n") == b"+OK\r\n"
                client.send(b"GET a\r\n")
                assert client.until(b"\r\n\r\n\r\n") == b"$36\r\n" + FAKE_REQUEST + b"\r\n"
    assert both_ends(capture.finish(port)) == []
