"""Syslog (RFC 5424) over TCP, TLS (RFC 5425), UDP (RFC 5426) or a local socket.

The protocol has no answers: what the connection took counts as sent. When it breaks in the middle of a load, the rows
come again whose messages the other side's TCP had not acknowledged as a whole; over TLS, where that can't be told, all
of them, so that some may be there twice, rather than missing.
"""

from __future__ import annotations

import errno
import fcntl
import socket
import ssl
import struct
import termios
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from masthead.delivery import Again, Outcome, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masthead.delivery import Load
    from masthead.delivery.http import Security

_SECONDS = 10.0
# What one datagram of UDP can carry over IPv4 (65,535 less the headers).
MOST_UDP_BYTES = 65_507
# So much is handed over at once, each time within the limit above.
_PIECE = 1 << 16


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
        """Send a load, message by message; what a broken connection has not taken comes again, and nothing else."""
        try:
            connection = self._socket or self._connect()
        except (OSError, ssl.SSLError) as error:
            self.close()
            return self._again(error)
        messages = load.batch.syslog(self._facility, self._host, self._app, "none")
        return self._apart(connection, messages) if self._datagrams else self._stream(connection, messages)

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _stream(self, connection: socket.socket, messages: Sequence[bytes]) -> Outcome:
        """Send messages one behind the other, in pieces: each may take as long as any answer, not all together."""
        framed = [self._framed(message) for message in messages]
        data, ends = memoryview(b"".join(framed)), list(accumulate(map(len, framed)))
        handed = 0
        try:
            _check(connection)
            while handed < len(data):
                handed += connection.send(data[handed : handed + _PIECE])
        except (OSError, ssl.SSLError) as error:
            # Bytes that the other side has not acknowledged go down with the connection.
            taken = max(0, handed - _unacknowledged(connection)) if self._context is None else 0
            self.close()
            whole = bisect_right(ends, taken)
            if not whole:
                return self._again(error)
            return Sent(ends[whole - 1], reason=self._again(error).reason, again=range(whole, len(messages)))
        return Sent(bytes=len(data))

    def _apart(self, connection: socket.socket, messages: Sequence[bytes]) -> Outcome:
        """Send each message as a datagram."""
        sent = refused = 0
        for place, message in enumerate(messages):
            try:
                sent += connection.send(message)
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    refused += 1
                    continue
                self.close()
                if not place:
                    return self._again(error)
                return Sent(sent, refused, self._again(error).reason, range(place, len(messages)))
        return Sent(sent, refused, "longer than a datagram may be" if refused else "")

    def _framed(self, message: bytes) -> bytes:
        """RFC 6587: behind its length (3.4.1), or before a line break on a local socket (3.4.2)."""
        return message + b"\n" if self._address.startswith("/") else b"%d %s" % (len(message), message)

    def _again(self, error: OSError) -> Again:
        return Again(f"{self._address}: {getattr(error, 'strerror', None) or error}")

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


def _unacknowledged(connection: socket.socket) -> int:
    """Give how many bytes wait in the kernel for the other side's word (tcp(7) and unix(7), SIOCOUTQ)."""
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))
    except OSError:
        return 0
    return int(count)


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
