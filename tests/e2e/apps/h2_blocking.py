"""`h2_server.py` on blocking sockets, one thread for each connection: `h2_blocking PORT LOG CERTIFICATE KEY`."""

from __future__ import annotations

import runpy
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
CONTEXT.load_cert_chain(sys.argv[3], sys.argv[4])
CONTEXT.set_alpn_protocols(["h2"])
SERVER = runpy.run_path(str(Path(__file__).with_name("h2_server.py")))["Server"]


class Writer:
    """What the server needs of a transport."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.write = sock.sendall


def converse(plain: socket.socket) -> None:
    """Talk on one connection until the client ends it."""
    try:
        with CONTEXT.wrap_socket(plain, server_side=True) as sock:
            server: Any = SERVER(Path(sys.argv[2]))
            server.transport, server.peer = Writer(sock), sock.getpeername()[1]
            server.h2.initiate_connection()
            sock.sendall(server.h2.data_to_send())
            while data := sock.recv(65536):
                server.data_received(data)
    except OSError:
        return


with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        threading.Thread(target=converse, args=(listener.accept()[0],), daemon=True).start()
