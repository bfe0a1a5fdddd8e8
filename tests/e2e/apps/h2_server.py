"""A server on the library h2 that writes down the fields it got, one line of JSON per request.

`h2_server PORT LOG`, with `CERTIFICATE KEY` behind it over TLS.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from pathlib import Path

import h2.config
import h2.connection
import h2.events


class Server(asyncio.Protocol):
    """Answers with an interim response, a body of its own size and trailers, all streams at once."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None, normalize_inbound_headers=False)
        )
        self.fields: dict[int, list[list[str]]] = {}
        self.trailers: dict[int, list[list[str]]] = {}
        self.peer: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with SETTINGS, before the client's preface has come."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.peer = transport.get_extra_info("peername")[1]
        self.h2.initiate_connection()
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.fields[event.stream_id] = text(event.headers)
            elif isinstance(event, h2.events.TrailersReceived):
                self.trailers[event.stream_id] = text(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.answer(event.stream_id)
        self.transport.write(self.h2.data_to_send())

    def answer(self, stream: int) -> None:
        """Send one whole response."""
        fields = self.fields.pop(stream)
        pseudo = dict(fields)
        status = "404" if pseudo[":path"].startswith("/missing") else "200"
        entry = {"stream": stream, "fields": fields, "trailers": self.trailers.pop(stream, []), "status": int(status)}
        head = [(":status", status), ("x-served-by", "h2"), ("x-dup", "one"), ("x-dup", "two"), ("x-empty", "")]
        with self.log.open("a") as log:
            log.write(json.dumps({**entry, "response": head[1:], "peer": self.peer}) + "\n")
        if "expect" in pseudo:
            self.h2.send_headers(stream, [(":status", "103"), ("link", "</style.css>; rel=preload")])
        if pseudo[":method"] == "HEAD":
            self.h2.send_headers(stream, head, end_stream=True)
            return
        self.h2.send_headers(stream, head)
        # Less than the content of all these is let through at once (RFC 9113, section 5.2): then there is none.
        if self.h2.local_flow_control_window(stream) > 4000:
            self.h2.send_data(stream, b"short", pad_length=7)
            for _ in range(3):
                self.h2.send_data(stream, bytes(1000))
        self.h2.send_headers(stream, [("x-checksum", "17"), ("x-note", "the end")], end_stream=True)


def text(pairs: object) -> list[list[str]]:
    """Names and values as text, in order."""
    return [[name.decode("latin-1"), value.decode("utf-8")] for name, value in pairs]  # type: ignore[attr-defined]


async def main() -> None:
    """Serve until somebody ends it."""
    log = Path(sys.argv[2])
    context = None
    if files := sys.argv[3:]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        context.set_alpn_protocols(["h2"])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(log), "127.0.0.1", int(sys.argv[1]), ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
