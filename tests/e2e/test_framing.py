"""HTTP/1.1 in every form that it may take on a connection (RFC 9112): which rows, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.raw_server import Handler, RawServer, echo, read_body
from tests.e2e.rows import assert_fields, assert_response, assert_row, both_ends, quality, role, target, targets
from tests.e2e.wire import Conn, Head

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.capture import Capture, Row

pytestmark = pytest.mark.e2e

FAKE_REQUEST = b"GET /fake HTTP/1.1\r\nHost: nobody\r\n\r\n"
FAKE_RESPONSE = b"HTTP/1.1 500 Fake\r\nX-Fake: 1\r\nContent-Length: 0\r\n\r\n"


def get(path: str, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a.example\r\n{more}\r\n".encode()


def answer(body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: " + str(len(body)).encode() + b"\r\n" + more + b"\r\n" + body


def replies(*answers: bytes) -> Handler:
    """Answer the requests of a connection one by one with these bytes, then read to its end."""

    def handler(conn: Conn) -> None:
        for data in answers:
            read_body(conn, Head(conn.until()))
            conn.send(data)
        conn.to_end()

    return handler


def seen(capture: Capture, handler: Handler, talk: Callable[[Conn], None]) -> list[tuple[Row, Row]]:
    """Let a client talk to a raw server and return the rows of both ends, paired."""
    with RawServer(handler) as server, Conn.connect("127.0.0.1", server.port) as client:
        talk(client)
    return both_ends(capture.finish(server.port))


def test_bodies_that_read_like_messages_give_no_rows_on_a_kept_alive_connection(capture: Capture) -> None:
    request = b"POST /%d HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n" + FAKE_REQUEST
    heads: list[tuple[Head, Head]] = []

    def talk(client: Conn) -> None:
        for number in range(20):
            sent = request % (number, len(FAKE_REQUEST))
            heads.append((Head(sent[: -len(FAKE_REQUEST)]), client.call(sent).head))

    pairs = seen(capture, replies(*[answer(FAKE_RESPONSE)] * 20), talk)
    assert len(pairs) == 20
    for (server, client), (sent, received) in zip(pairs, heads, strict=True):
        assert_row(server, sent, received)
        assert_row(client, sent, received)
        assert server["http"]["request"]["body"]["size"] == len(FAKE_REQUEST)
        assert server["http"]["response"]["body"]["size"] == len(FAKE_RESPONSE)


def test_requests_and_responses_pipelined_in_one_segment_are_paired_in_order(capture: Capture) -> None:
    count = 12

    def handler(conn: Conn) -> None:
        for _ in range(count):
            conn.until()
        conn.send(b"".join(answer(b"x" * number, b"X-Number: %d\r\n" % number) for number in range(count)))
        conn.to_end()

    def talk(client: Conn) -> None:
        client.send(b"".join(get(f"/{number}") for number in range(count)))
        for _ in range(count):
            client.response()

    pairs = seen(capture, handler, talk)
    assert [target(server) for server, _ in pairs] == [f"/{number}" for number in range(count)]
    for number, (server, client) in enumerate(pairs):
        head = Head(answer(b"x" * number, b"X-Number: %d\r\n" % number).split(b"\r\n\r\n")[0] + b"\r\n\r\n")
        assert_row(server, Head(get(f"/{number}")), head)
        assert_row(client, Head(get(f"/{number}")), head)


def test_a_request_cut_in_two_at_any_byte_gives_the_same_row(capture: Capture) -> None:
    requests = [get(f"/{number:03}", "X-Tenant: acme\r\nX-Empty:\r\n") for number in range(len(get("/000")) + 26)]

    def talk(client: Conn) -> None:
        for cut, request in enumerate(requests):
            client.send(request[:cut] or request[:1])
            client.send(request[cut or 1 :] or b"")
            client.response()

    pairs = seen(capture, echo, talk)
    assert len(pairs) == len(requests)
    for (server, client), request in zip(pairs, requests, strict=True):
        assert_row(server, Head(request), None)
        assert_row(client, Head(request), None)


def test_a_request_and_a_response_that_come_byte_by_byte_give_the_same_row(capture: Capture) -> None:
    request, response = get("/slow", "X-Tenant: acme\r\n"), answer(b"hello", b"X-One: 1\r\nX-One: 2\r\n")

    def handler(conn: Conn) -> None:
        for _ in range(3):
            conn.until()
            for at in range(len(response)):
                conn.send(response[at : at + 1])
        conn.to_end()

    def talk(client: Conn) -> None:
        for _ in range(3):
            for at in range(len(request)):
                client.send(request[at : at + 1])
            client.response()

    pairs = seen(capture, handler, talk)
    assert len(pairs) == 3
    for server, client in pairs:
        assert_row(server, Head(request), Head(response[:-5]))
        assert_row(client, Head(request), Head(response[:-5]))


def test_a_response_cut_in_two_at_any_byte_gives_the_same_row(capture: Capture) -> None:
    body = b"7;note=x\r\nchunk 1\r\n0\r\nX-Sum: 9\r\n\r\n"
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Tenant: acme\r\n\r\n" + body

    def handler(conn: Conn) -> None:
        for cut in range(1, len(response)):
            conn.until()
            conn.send(response[:cut])
            conn.send(response[cut:])
        conn.to_end()

    def talk(client: Conn) -> None:
        for number in range(1, len(response)):
            client.call(get(f"/{number}"))

    pairs = seen(capture, handler, talk)
    assert [target(server) for server, _ in pairs] == [f"/{number}" for number in range(1, len(response))]
    for number, (server, client) in enumerate(pairs, 1):
        for row in (server, client):
            assert_row(row, Head(get(f"/{number}")), Head(response[: -len(body)]))
            assert row["masthead"]["response_trailers"] == [["X-Sum", "9"]]


def test_chunked_requests_and_responses_carry_their_trailers(capture: Capture) -> None:
    chunks = b"24\r\n" + FAKE_REQUEST + b"\r\n1;name=value\r\nx\r\n0\r\nX-Check: 1\r\nx-check: 2\r\n\r\n"
    assert len(FAKE_REQUEST) == 0x24
    head = b"POST /up HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n"
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks

    def talk(client: Conn) -> None:
        for _ in range(3):
            client.call(head + chunks)

    pairs = seen(capture, replies(*[response] * 3), talk)
    assert len(pairs) == 3
    for pair in pairs:
        for row in pair:
            assert_row(row, Head(head), Head(response[: -len(chunks)]))
            assert row["masthead"]["request_trailers"] == [["X-Check", "1"], ["x-check", "2"]]
            assert row["masthead"]["response_trailers"] == [["X-Check", "1"], ["x-check", "2"]]
            assert row["http"]["request"]["body"]["size"] == len(chunks)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_response_that_ends_with_its_connection_is_complete(capture: Capture, version: str) -> None:
    head = f"HTTP/{version} 200 OK\r\nX-Ends: with FIN\r\n\r\n".encode()

    def handler(conn: Conn) -> None:
        conn.until()
        conn.send(head + FAKE_RESPONSE)

    pairs = seen(capture, handler, lambda client: void(client.call(get("/once"))))
    assert len(pairs) == 1
    for row in pairs[0]:
        assert_row(row, Head(get("/once")), Head(head))
        assert row["http"]["response"]["body"]["size"] == len(FAKE_RESPONSE)


def test_interim_responses_stand_apart_from_the_final_one(capture: Capture) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>\r\n\r\n"
    final = answer(b"page")
    pairs = seen(
        capture, replies(b"HTTP/1.1 102 Processing\r\n\r\n" + interim + final), lambda c: void(c.call(get("/")))
    )
    for row in pairs[0]:
        assert_row(row, Head(get("/")), Head(final[:-4]))
        assert [one["status"] for one in row["masthead"]["interim"]] == [102, 103]
        assert_fields(row["masthead"]["interim"][1]["header"], Head(interim).fields)


def test_expect_100_continue_keeps_request_and_response_together(capture: Capture) -> None:
    head = b"PUT /up HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 36\r\n\r\n"

    def handler(conn: Conn) -> None:
        for _ in range(2):
            conn.until()
            conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            conn.take(36)
            conn.send(answer(b"done"))
        conn.to_end()

    def talk(client: Conn) -> None:
        for _ in range(2):
            client.send(head)
            client.until()
            client.send(FAKE_REQUEST)
            client.response()

    pairs = seen(capture, handler, talk)
    assert len(pairs) == 2
    for pair in pairs:
        for row in pair:
            assert_row(row, Head(head), Head(answer(b"done")[:-4]))
            assert [one["status"] for one in row["masthead"]["interim"]] == [100]


def test_responses_without_content_do_not_swallow_what_follows(capture: Capture) -> None:
    heads = [
        (b"HEAD /1 HTTP/1.1\r\nHost: a.example\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        (get("/2"), b"HTTP/1.1 204 No Content\r\nX-Two: 2\r\n\r\n"),
        (get("/3", 'If-None-Match: "a"\r\n'), b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 9\r\n\r\n'),
        (b"HEAD /4 HTTP/1.1\r\nHost: a.example\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (get("/5"), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ]

    def talk(client: Conn) -> None:
        for request, _ in heads:
            client.call(request)

    pairs = seen(capture, replies(*[response for _, response in heads]), talk)
    assert len(pairs) == len(heads)
    for pair, (request, response) in zip(pairs, heads, strict=True):
        for row in pair:
            assert_row(row, Head(request), Head(response))


@pytest.mark.parametrize(
    ("request_head", "response_head"),
    [
        (
            (b"GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nX-More: 13\r\n\r\n"),
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
        ),
        (b"CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n", b"HTTP/1.1 200 Connected\r\n\r\n"),
    ],
    ids=["upgrade", "connect"],
)
def test_after_the_protocol_has_changed_nothing_more_is_http(
    capture: Capture, request_head: bytes, response_head: bytes
) -> None:
    def handler(conn: Conn) -> None:
        conn.until()
        conn.send(response_head)
        for _ in range(3):
            conn.take(len(FAKE_REQUEST))
            conn.send(FAKE_RESPONSE)
        conn.to_end()

    def talk(client: Conn) -> None:
        client.send(request_head)
        client.until()
        for _ in range(3):
            client.send(FAKE_REQUEST)
            client.take(len(FAKE_RESPONSE))

    pairs = seen(capture, handler, talk)
    assert len(pairs) == 1
    for row in pairs[0]:
        assert_row(row, Head(request_head), Head(response_head))


def test_a_refused_upgrade_goes_on_as_http(capture: Capture) -> None:
    first = get("/chat", "Connection: Upgrade\r\nUpgrade: websocket\r\n")

    def talk(client: Conn) -> None:
        client.call(first)
        client.call(get("/next"))

    pairs = seen(capture, echo, talk)
    assert targets([server for server, _ in pairs]) == ["/chat", "/next"]


def test_a_client_that_ends_its_half_first_still_gets_its_row(capture: Capture) -> None:
    def handler(conn: Conn) -> None:
        conn.until()
        conn.to_end()
        conn.send(answer(b"late"))

    def talk(client: Conn) -> None:
        client.send(get("/half"))
        client.sock.shutdown(1)
        client.response()

    pairs = seen(capture, handler, talk)
    assert len(pairs) == 1
    for row in pairs[0]:
        assert_row(row, Head(get("/half")), Head(answer(b"late")[:-4]))


def test_http_1_0_without_fields_is_a_row(capture: Capture) -> None:
    request = b"GET /old HTTP/1.0\r\n\r\n"

    def handler(conn: Conn) -> None:
        conn.until()
        conn.send(b"HTTP/1.0 200 OK\r\n\r\nbody")

    pairs = seen(capture, handler, lambda client: void(client.call(request)))
    for row in pairs[0]:
        assert_row(row, Head(request), Head(b"HTTP/1.0 200 OK\r\n\r\n"))


def test_a_server_that_answers_before_the_request_is_complete_gives_one_row(capture: Capture) -> None:
    head = b"POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: 72\r\n\r\n"
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"

    def handler(conn: Conn) -> None:
        conn.until()
        conn.send(refusal)
        conn.take(72)
        conn.until()
        conn.send(answer(b"x"))
        conn.to_end()

    def talk(client: Conn) -> None:
        client.send(head + FAKE_REQUEST)
        client.response()
        client.send(FAKE_REQUEST)
        client.call(get("/after"))

    rows = [row for pair in seen(capture, handler, talk) for row in pair]
    assert targets(role(rows, "server")) == ["/up", "/after"]
    assert_response(role(rows, "server")[0], Head(refusal))


def void(_: object) -> None:
    """Drop a value where nothing may be returned."""


def test_what_follows_a_segment_with_too_many_chunks_is_seen(capture: Capture) -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"

    def talk(client: Conn) -> None:
        client.call(get("/many"))
        client.call(get("/after"))

    (many, after) = seen(capture, replies(chunks, answer(b"hello")), talk)
    for row in many:
        assert row["http"]["response"]["status_code"] == 200
        assert "cut" in quality(row)
    for row in after:
        assert_row(row, Head(get("/after")), Head(answer(b"hello")[:-5]))
        assert row["http"]["response"]["body"]["size"] == 5
