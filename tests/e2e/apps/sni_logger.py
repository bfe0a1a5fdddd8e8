"""A server on asyncio whose choice of a certificate is told to somebody else, from inside the handshake.

`sni_logger PORT CERTIFICATE KEY`
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import threading

BODY = b"ok\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Served-By: asyncio\r\n\r\n%s" % (len(BODY), BODY)


class Beside:
    """A connection that is there before any client."""

    def __init__(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
        threading.Thread(target=answer, args=(far,), daemon=True).start()

    def tell(self, *_: object) -> None:
        """Send something and get an answer."""
        self.near.send(b"chosen\n")
        self.near.recv(100)


def answer(far: socket.socket) -> None:
    """Answer whatever is told."""
    while far.recv(100):
        far.send(b"heard\n")


async def main() -> None:
    """Serve until somebody ends it."""
    beside = Beside()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[2:])
    context.sni_callback = beside.tell

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            writer.write(ANSWER)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
