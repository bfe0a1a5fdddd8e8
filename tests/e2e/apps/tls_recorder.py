"""`recorder.py` behind TLS, by Python's ssl module on a blocking socket: `tls_recorder.py PORT LOG CERTIFICATE KEY`."""

from __future__ import annotations

import runpy
import ssl
import sys
from http.server import ThreadingHTTPServer
from pathlib import Path

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
CONTEXT.load_cert_chain(sys.argv[3], sys.argv[4])
plain_request = ThreadingHTTPServer.get_request


def tls_request(self: ThreadingHTTPServer) -> tuple[ssl.SSLSocket, object]:
    """Accept a connection; the handshake is made by its own thread."""
    sock, address = plain_request(self)
    return CONTEXT.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address


ThreadingHTTPServer.get_request = tls_request  # type: ignore[method-assign,assignment]
runpy.run_path(str(Path(__file__).with_name("recorder.py")), run_name="__main__")
