"""Heads as h11 reads them: the same method, target, status and fields, and a fault where it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h11
import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a?b=c&d=%20 HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\naccept: text/html\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
    b"M-SEARCH * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"!#$%&'*+-.^_`|~ /~ HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~: x\r\n\r\n",
    b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    b"GET http://a/b HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\nX: 1\n\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nEmpty:\r\nBlank: \t \r\nSpaced: \t a b \t\r\nColon: a:b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nLatin: \xe9\xff\r\nUtf: \xc3\xa9\r\nTab: a\tb\r\n\r\n",
    # What both refuse.
    b"GET /\r\nHost: a\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    b"GET / http/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/11\r\nHost: a\r\n\r\n",
    b"G T / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n: none\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nSp ace: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nNul: a\0b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nReturn: a\rb\r\n\r\n",
    b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 \r\n\r\n",
    b"HTTP/1.1 404\r\nServer: a\r\n\r\n",
    b"HTTP/1.0 599 What Ever: It is\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1  200 OK\r\n\r\n",
    b"HTTP/1 200 OK\r\n\r\n",
    b"http/1.1 200 OK\r\n\r\n",
    b"ICY 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nBad name: x\r\n\r\n",
]
Head = tuple[bytes, bytes, list[tuple[bytes, bytes]]]


def by_h11(data: bytes, *, response: bool) -> Head | None:
    """Return the start line's parts and the fields, or None where h11 refuses."""
    connection = h11.Connection(h11.CLIENT if response else h11.SERVER)
    if response:
        connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
        connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    assert isinstance(event, h11.Request | h11.Response)
    fields = [(bytes(name), bytes(value)) for name, value in event.headers.raw_items()]
    if isinstance(event, h11.Request):
        return bytes(event.method), bytes(event.target), fields
    return b"HTTP/" + bytes(event.http_version), str(event.status_code).encode(), fields


def by_masthead(data: bytes, *, response: bool) -> Head | None:
    spans: Sequence[tuple[str, int, int]] = pytest.importorskip("masthead._native").parse_spans(data, response, True)  # noqa: FBT003 - as it is
    if any(name.startswith("fault") for name, _, _ in spans):
        return None

    def text(kind: str) -> list[bytes]:
        return [data[at : at + size] for name, at, size in spans if name == kind]

    return text("first")[0], text("second")[0], list(zip(text("name"), text("value"), strict=True))


def plain(head: Head | None) -> Head | None:
    """h11 hands on the framing fields as it understood them: lower case, and equal lengths as one."""
    if head is None:
        return None
    framing = (b"content-length", b"transfer-encoding")
    fields = [(name, value.lower().split(b",")[0] if name.lower() in framing else value) for name, value in head[2]]
    return head[0], head[1], fields


@pytest.mark.parametrize(
    ("data", "response"), [(data, False) for data in REQUESTS] + [(data, True) for data in RESPONSES]
)
def test_a_head_is_read_as_h11_reads_it(data: bytes, response: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    assert plain(by_masthead(data, response=response)) == plain(by_h11(data, response=response))


def test_a_fold_is_one_value_to_both() -> None:
    data = b"GET / HTTP/1.1\r\nHost: a\r\nFolded: a\r\n b\r\n\tc\r\n\r\n"
    theirs, ours = by_h11(data, response=False), by_masthead(data, response=False)
    assert theirs
    assert ours
    # h11 puts a space for each fold (RFC 9112, section 5.2); here the value is as sent.
    assert (theirs[2][1], ours[2][1]) == ((b"Folded", b"a b c"), (b"Folded", b"a\r\n b\r\n\tc"))
