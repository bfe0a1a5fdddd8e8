"""Both ends of a raw connection, and a reader of HTTP/1.1 framing that shares nothing with masthead's."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from typing import Self

from tests.e2e.waiting import DEADLINE

END = b"\r\n\r\n"


@dataclass(frozen=True)
class Head:
    """One head as its bytes say it: start line and fields in order, values without the white space around them."""

    raw: bytes

    @property
    def start(self) -> str:
        """The start line."""
        return self.raw.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def fields(self) -> list[list[str]]:
        """Name and value of each field line; values that are UTF-8 read as such."""
        return fields_of(self.raw.split(b"\r\n", 1)[1])

    @property
    def status(self) -> int:
        """The status code, where this is the head of a response."""
        return int(self.start.split(" ")[1])

    def value(self, name: str) -> str | None:
        """Return the first value under that name."""
        return next((value for key, value in self.fields if key.lower() == name), None)


def fields_of(section: bytes) -> list[list[str]]:
    """Split a field section at its colons."""
    pairs = (line.partition(b":") for line in section.split(b"\r\n") if line)
    return [
        [name.decode("latin-1"), value.strip(b" \t").decode("utf-8", "surrogateescape")] for name, _, value in pairs
    ]


@dataclass
class Response:
    """What came back: the final head, the interim ones, and all bytes after the final head."""

    head: Head
    interim: list[Head] = field(default_factory=list)
    rest: bytes = b""
    trailers: list[list[str]] = field(default_factory=list)


class Conn:
    """One end of a TCP connection that keeps what it sent and received."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sent = bytearray()
        self.received = bytearray()
        self._buffer = bytearray()
        sock.settimeout(DEADLINE)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def connect(cls, address: str, port: int) -> Self:
        """Connect to an IPv4 or IPv6 address."""
        return cls(socket.create_connection((address, port), timeout=DEADLINE))

    @property
    def port(self) -> int:
        """The port at this end."""
        return int(self.sock.getsockname()[1])

    def send(self, data: bytes) -> None:
        """Send all of it in one call, so in one segment where it fits."""
        self.sock.sendall(data)
        self.sent += data

    def _fill(self) -> bool:
        data = self.sock.recv(65536)
        self.received += data
        self._buffer += data
        return bool(data)

    def take(self, count: int) -> bytes:
        """Return exactly that many bytes."""
        while len(self._buffer) < count:
            assert self._fill(), f"the stream ended {count - len(self._buffer)} bytes early"
        return self._cut(count)

    def until(self, mark: bytes = END) -> bytes:
        """Return everything up to the mark, and the mark."""
        while (place := self._buffer.find(mark)) < 0:
            assert self._fill(), f"the stream ended before {mark!r}: {bytes(self._buffer)!r}"
        return self._cut(place + len(mark))

    def to_end(self) -> bytes:
        """Return everything until the other end has said that it ends."""
        while self._fill():
            pass
        return self._cut(len(self._buffer))

    def _cut(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def chunks(self) -> tuple[bytes, list[list[str]]]:
        """Return the bytes of a chunked body with its framing, and its trailer fields."""
        raw = b""
        while True:
            line = self.until(b"\r\n")
            raw += line
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            raw += self.take(size + 2)
        section = b""
        while (line := self.until(b"\r\n")) != b"\r\n":
            section += line
        return raw + section + b"\r\n", fields_of(section)

    def response(self, method: str = "GET") -> Response:
        """Read one response to its end (RFC 9112, section 6.3)."""
        interim: list[Head] = []
        head = Head(self.until())
        while head.status < 200 and head.status != 101:
            interim.append(head)
            head = Head(self.until())
        if method == "HEAD" or head.status in {101, 204, 304}:
            return Response(head, interim)
        if (head.value("transfer-encoding") or "").lower() == "chunked":
            rest, trailers = self.chunks()
            return Response(head, interim, rest, trailers)
        length = head.value("content-length")
        return Response(head, interim, self.to_end() if length is None else self.take(int(length)))

    def call(self, request: bytes) -> Response:
        """Send one request and read its response."""
        self.send(request)
        return self.response(request.split(b" ", 1)[0].decode())

    def reset(self) -> None:
        """End with a RST instead of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        """End this end."""
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
