"""One end of an HTTP/2 connection over a raw socket, on the library h2; it counts the frames of each stream itself."""

from __future__ import annotations

import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import h2.config
import h2.connection
import h2.events
import h2.settings

from tests.e2e.waiting import DEADLINE

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

Fields = list[list[str]]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER = 9
DATA, HEADERS, CONTINUATION = 0, 1, 9


def text(pairs: Iterable[Any]) -> Fields:
    """Names and values as text, in order."""
    return [[bytes(name).decode("latin-1"), bytes(value).decode("utf-8")] for name, value in pairs]


@dataclass
class Call:
    """One stream as its client saw it."""

    stream: int
    request: Fields
    trailers_sent: Fields = field(default_factory=list)
    response: Fields = field(default_factory=list)
    interim: list[Fields] = field(default_factory=list)
    trailers: Fields = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: bool = False

    def pseudo(self, name: str) -> str | None:
        """Return a pseudo-header field's value, of either message."""
        return next((value for key, value in [*self.request, *self.response] if key == name), None)


@dataclass
class Octets:
    """What the frames of each stream take on the wire, their headers included."""

    data: Counter[int] = field(default_factory=Counter)
    heads: Counter[int] = field(default_factory=Counter)
    sections: Counter[int] = field(default_factory=Counter)

    def read(self, raw: bytes) -> Self:
        """Walk through the frames of one direction."""
        at = 0
        while at + HEADER <= len(raw):
            length, kind = int.from_bytes(raw[at : at + 3], "big"), raw[at + 3]
            stream = int.from_bytes(raw[at + 5 : at + HEADER], "big")
            if kind == DATA:
                self.data[stream] += HEADER + length
            if kind == HEADERS:
                self.sections[stream] += 1
            if kind in {HEADERS, CONTINUATION} and self.sections[stream] == 1:
                self.heads[stream] += HEADER + length
            at += HEADER + length
        return self


class Client:
    """A client with prior knowledge.

    `step`: bytes in one segment at most, once the preface's first `opening` bytes are sent and, if that is not all of
    it, the server has spoken; `frame`: bytes in one frame at most; `tls`: settings of a client that is to use TLS.
    """

    def __init__(
        self,
        port: int,
        step: int | None = None,
        frame: int | None = None,
        opening: int = len(PREFACE),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = int(self.sock.getsockname()[1])
        if tls:
            tls.set_alpn_protocols(["h2"])
            self.sock = tls.wrap_socket(self.sock)
        self.sent, self.received = bytearray(), bytearray()
        self.calls: dict[int, Call] = {}
        self._step, self._frame = step, frame
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding=None, normalize_inbound_headers=False)
        )
        self._settled = False
        self._h2.initiate_connection()
        self._open(opening)
        while not self._settled:
            self._take()

    def _open(self, opening: int) -> None:
        data = self._h2.data_to_send()
        self.sock.sendall(data[:opening])
        if opening < len(PREFACE):
            self.sock.recv(1, socket.MSG_PEEK)
        self._send_in_steps(data[opening:])
        self.sent += data

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        self._send_in_steps(data)
        self.sent += data

    def _send_in_steps(self, data: bytes) -> None:
        step = self._step or len(data) or 1
        for at in range(0, len(data), step):
            self.sock.sendall(data[at : at + step])

    def start(self, request: Fields, body: bytes | None = None, trailers: Fields | None = None) -> Call:
        """Send a request; its response comes when it comes."""
        if self._frame:
            self._h2.max_outbound_frame_size = self._frame
        stream = self._h2.get_next_available_stream_id()
        call = self.calls[stream] = Call(stream, request, trailers or [])
        self._h2.send_headers(stream, [(name, value) for name, value in request], end_stream=body is None)
        if body is not None:
            self._send(stream, body, last=not trailers)
        if trailers:
            self._h2.send_headers(stream, [(name, value) for name, value in trailers], end_stream=True)
        self._flush()
        return call

    def _send(self, stream: int, body: bytes, *, last: bool) -> None:
        at = 0
        while at < len(body):
            room = min(self._h2.local_flow_control_window(stream), self._frame or self._h2.max_outbound_frame_size)
            if room <= 0:
                self._take()
                continue
            part = body[at : at + room]
            at += len(part)
            self._h2.send_data(stream, part, end_stream=last and at >= len(body))
            self._flush()

    def finish(self) -> list[Call]:
        """Wait until every call has ended."""
        while not all(call.ended for call in self.calls.values()):
            self._take()
        return list(self.calls.values())

    def _take(self) -> None:
        data = self.sock.recv(65536)
        assert data, "the server ended the connection"
        self.received += data
        for event in self._h2.receive_data(data):
            self._on(event)
        self._flush()

    def _on(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self._settled = True
        call = self.calls.get(getattr(event, "stream_id", None) or 0)
        if call is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            call.response = text(event.headers)
        elif isinstance(event, h2.events.InformationalResponseReceived):
            call.interim.append(text(event.headers))
        elif isinstance(event, h2.events.TrailersReceived):
            call.trailers = text(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            call.body += event.data
            self._h2.acknowledge_received_data(event.flow_controlled_length, call.stream)
        elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
            call.ended, call.reset = True, isinstance(event, h2.events.StreamReset)

    def octets(self) -> tuple[Octets, Octets]:
        """Return what was sent and what was received, by stream."""
        return Octets().read(bytes(self.sent[len(PREFACE) :])), Octets().read(bytes(self.received))

    def close(self) -> None:
        """End the connection in order."""
        self._h2.close_connection()
        self._flush()
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
