"""Mixed traffic, a few calls a second: ordinary ones, errors, slow ones, and heads that tools stumble over."""

from __future__ import annotations

import itertools
import socket
import time

_CALLS = (
    "GET /products?page=2 HTTP/1.1\r\nHost: shop.example\r\nAccept: application/json\r\nUser-Agent: frontend/2.4",
    "POST /orders HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Bearer 3f1c9a7e5b2d\r\nContent-Length: 15",
    "GET /products/999 HTTP/1.1\r\nHost: shop.example\r\nReferer: http://shop.example/?token=abc123",
    "GET /slow HTTP/1.1\r\nHost: shop.example",
    "GET /reports HTTP/1.1\r\nHost: shop.example\r\nX-Tenant: acme",
    "GET /login HTTP/1.1\r\nHost: shop.example\r\nX-Tag: one\r\nx-tag: two\r\nX-TAG: three\r\nCookie: theme=dark",
    "GET /private HTTP/1.1\r\nHost: shop.example\r\nX-Api-Key: 8c2d71",
    "HEAD /products HTTP/1.1\r\nHost: shop.example\r\nX-Name: Z\xc3\xbcrich\r\nX-Bytes: \xff\xfe",
    "DELETE /old HTTP/1.1\r\nHost: shop.example",
    "GET /bro ken HTTP/1.1\r\nHost: shop.example",
)
_ORDER = '{"product": 17}'


def send(port: int, seconds: float, every: float = 0.25) -> None:
    """Make calls in turn, each on its own connection, for so many seconds."""
    end = time.monotonic() + seconds
    for call in itertools.cycle(_CALLS):
        if time.monotonic() > end:
            return
        _call(port, call)
        time.sleep(every)


def _call(port: int, head: str) -> None:
    body = _ORDER if head.startswith("POST") else ""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
        stream.sendall(f"{head}\r\nConnection: close\r\n\r\n{body}".encode("latin-1"))
        while stream.recv(65_536):
            pass
