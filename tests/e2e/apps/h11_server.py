"""A server on the library h11 over ssl that writes down what h11 read: `h11_server PORT LOG CERTIFICATE KEY`."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from pathlib import Path

import h11

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
CONTEXT.load_cert_chain(sys.argv[3], sys.argv[4])
LOG = Path(sys.argv[2])


def converse(plain: socket.socket) -> None:
    """Answer on one connection until the client ends it."""
    try:
        with CONTEXT.wrap_socket(plain, server_side=True) as sock:
            connection = h11.Connection(h11.SERVER)
            while request := read(connection, sock):
                answer(connection, sock, request)
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return
                connection.start_next_cycle()
    except OSError:
        return


def read(connection: h11.Connection, sock: ssl.SSLSocket) -> h11.Request | None:
    """Read one request with its content; nothing when the client has ended."""
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                sock.sendall(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            connection.receive_data(sock.recv(65536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return request


def answer(connection: h11.Connection, sock: ssl.SSLSocket, request: h11.Request) -> None:
    """Write one request down and send a response in chunks."""
    path = request.target.decode()
    status = 404 if path.startswith("/missing") else 200
    fields = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers.raw_items()]
    line = f"{request.method.decode()} {path} HTTP/{request.http_version.decode()}"
    with LOG.open("a") as log:
        log.write(json.dumps({"line": line, "status": status, "fields": fields}) + "\n")
    head = [("X-Served-By", "h11"), ("X-Dup", "one"), ("X-Dup", "two"), ("X-Empty", "")]
    sock.sendall(connection.send(h11.Response(status_code=status, headers=head)) or b"")
    for part in () if request.method == b"HEAD" else (b"first ", b"second\n"):
        sock.sendall(connection.send(h11.Data(data=part)) or b"")
    sock.sendall(connection.send(h11.EndOfMessage()) or b"")


with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        threading.Thread(target=converse, args=(listener.accept()[0],), daemon=True).start()
