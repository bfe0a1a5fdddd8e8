"""Both ends of TLS connections, in this process, which keep what they saw."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Handles one connection of the server.
Talk = "Callable[[ssl.SSLSocket], None]"


def certificate(directory: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost, and its key."""
    made, key = directory / "cert.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(made), "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return made, key


@dataclass
class Answering:
    """A server on one thread that answers each request with what `answer` makes of its head, and keeps the heads."""

    directory: Path
    answer: Callable[[bytes], bytes]
    connections: int = 1
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: str | None = None
    heads: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Listen."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(self.directory))
        context.maximum_version = self.maximum
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, args=(context,), daemon=True)
        self._thread.start()
        return self

    def _serve(self, context: ssl.SSLContext) -> None:
        for _ in range(self.connections):
            plain, _ = self._listener.accept()
            with context.wrap_socket(plain, server_side=True) as conn:
                while head := read_head(conn):
                    self.heads.append(head)
                    conn.sendall(self.answer(head))
                    if b"connection: close" in head.lower():
                        break

    def __exit__(self, *_: object) -> None:
        """Wait for the last connection to end."""
        self._thread.join(20)
        self._listener.close()


def read_head(conn: ssl.SSLSocket) -> bytes:
    """Read up to the empty line; nothing when the other end is done."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        try:
            byte = conn.recv(1)
        except (ssl.SSLError, ConnectionError):
            return b""
        if not byte:
            return b""
        head += byte
    return head


def client(port: int, keylog: Path, **settings: object) -> ssl.SSLSocket:
    """Connect, with the secrets written to `keylog`."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.keylog_filename = os.fspath(keylog)
    for name, value in settings.items():
        if name == "ciphers":
            context.set_ciphers(str(value))
        elif name != "session":
            setattr(context, name, value)
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
