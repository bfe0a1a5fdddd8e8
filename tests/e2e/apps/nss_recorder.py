"""`recorder.py` behind TLS by NSS: `nss_recorder.py PORT LOG DATABASE NICKNAME`."""

from __future__ import annotations

import runpy
import sys
from http.server import ThreadingHTTPServer
from pathlib import Path

from nss import NssSocket, Server  # type: ignore[import-not-found]

SERVER = Server(Path(sys.argv[3]), sys.argv[4])
plain_request = ThreadingHTTPServer.get_request


def tls_request(self: ThreadingHTTPServer) -> tuple[NssSocket, object]:
    """Accept a connection; the handshake is made by its own thread."""
    sock, address = plain_request(self)
    return SERVER.wrap(sock), address


ThreadingHTTPServer.get_request = tls_request  # type: ignore[method-assign,assignment]
runpy.run_path(str(Path(__file__).with_name("recorder.py")), run_name="__main__")
