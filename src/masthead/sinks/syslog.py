"""Syslog (RFC 5424) over TCP, TLS (RFC 5425), UDP (RFC 5426) or a local socket.

The protocol has no answers: what was handed to the connection counts as sent. When a connection breaks, the load that
was on its way comes again whole, so that some of its rows may be there twice, rather than missing.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from masthead.delivery import Again, Outcome, Sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from masthead.delivery import Load
    from masthead.delivery.http import Security

_SECONDS = 10.0
# What one datagram of UDP can carry over IPv4 (65,535 less the headers).
MOST_UDP_BYTES = 65_507
_EMSGSIZE = 90


class SyslogSender:
    """Sends loads as messages.

    Args:
        address: `host:port`, or the path of a socket.
        transport: `tcp`, `tls` or `udp`; a path is asked for datagrams first, then for a stream.
        facility: The facility's number.
        app: APP-NAME.
        security: Certificates, for TLS.
        host: HOSTNAME.
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        address: str,
        transport: str,
        *,
        facility: int = 16,
        app: str = "masthead",
        security: Security | None = None,
        host: str = "",
    ) -> None:
        self._address = address
        self._transport = transport
        self._facility = facility
        self._app = app
        self._host = host or socket.gethostname()
        self._context = security.context() if security is not None and transport == "tls" else None
        self._socket: socket.socket | None = None
        self._datagrams = transport == "udp"

    def send(self, load: Load) -> Outcome:
        """Send a load, message by message."""
        try:
            connection = self._socket or self._connect()
            if self._datagrams:
                return self._apart(connection, load)
            framing = "newline" if self._address.startswith("/") else "octet"
            data = b"".join(load.batch.syslog(self._facility, self._host, self._app, framing))
            _check(connection)
            connection.sendall(data)
        except (OSError, ssl.SSLError) as error:
            self.close()
            return Again(f"{self._address}: {getattr(error, 'strerror', None) or error}")
        return Sent(bytes=len(data))

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _apart(self, connection: socket.socket, load: Load) -> Sent:
        sent = refused = 0
        for message in load.batch.syslog(self._facility, self._host, self._app, "none"):
            try:
                sent += connection.send(message)
            except OSError as error:
                if error.errno != _EMSGSIZE:
                    raise
                refused += 1
        return Sent(sent, refused, "longer than a datagram may be" if refused else "")

    def _connect(self) -> socket.socket:
        made = self._local() if self._address.startswith("/") else self._remote()
        self._socket = made
        return made

    def _remote(self) -> socket.socket:
        host, _, port = self._address.rpartition(":")
        host = host.strip("[]")
        if self._transport == "udp":
            family, kind, protocol, _, place = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
            plain = socket.socket(family, kind, protocol)
            plain.connect(place)
            return plain
        plain = socket.create_connection((host, int(port)), timeout=_SECONDS)
        return self._context.wrap_socket(plain, server_hostname=host) if self._context else plain

    def _local(self) -> socket.socket:
        kinds: list[Callable[[], socket.socket]] = [
            lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
            lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        ]
        failed: OSError | None = None
        for number, make in enumerate(kinds):
            local = make()
            local.settimeout(_SECONDS)
            try:
                local.connect(self._address)
            except OSError as error:
                local.close()
                failed = error
            else:
                self._datagrams = number == 0
                return local
        raise failed or OSError("no socket")


def _check(connection: socket.socket) -> None:
    """Notice a server that hung up before anything is written into the void; servers of syslog never speak."""
    connection.setblocking(False)  # noqa: FBT003 - the method's own form
    try:
        # TLS servers may send tickets, which are read away here.
        if not connection.recv(4096):
            raise ConnectionResetError("the server hung up")
    except (BlockingIOError, ssl.SSLWantReadError):
        return
    finally:
        connection.settimeout(_SECONDS)
