"""A TCP peer spoken by hand on a TUN device, so that it can send what no kernel would."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.e2e.namespaces import inside, ip, namespace
from tests.e2e.waiting import DEADLINE
from tests.kernel.packets import ACK, FIN, PSH, RST, SYN, Ends, Segment, packets, read, tcp

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE_4, PEER_4 = "10.77.14.1", "10.77.14.2"
HERE_6, PEER_6 = "fd77:14::1", "fd77:14::2"

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 1, 0x1000

TIMESTAMPS = b"\x01\x01\x08\x0a"
"""Two no-operations and the head of a timestamp option (RFC 7323); value and echo follow."""


def timestamps(value: int, echo: int = 0) -> bytes:
    """Return a timestamp option."""
    return TIMESTAMPS + struct.pack("!II", value, echo)


@dataclass(frozen=True)
class Link:
    """A TUN device in a namespace of its own: the kernel's end has HERE_*, whoever reads the descriptor is PEER_*."""

    name: str
    descriptor: int

    def write(self, packet: bytes) -> None:
        """Let a packet arrive at the kernel."""
        os.write(self.descriptor, packet)

    def read(self, deadline: float) -> bytes | None:
        """Return the next packet that the kernel sent; None when there was none in time."""
        ready, _, _ = select.select([self.descriptor], [], [], max(0.0, deadline - time.monotonic()))
        return os.read(self.descriptor, 65536) if ready else None


@contextmanager
def link() -> Iterator[Link]:
    """Make the namespace and its device; remove both at the end."""
    with namespace() as name:
        descriptor = inside(name, _open_tun)
        try:
            ip("-n", name, "addr", "add", f"{HERE_4}/30", "dev", "tun0")
            ip("-n", name, "addr", "add", f"{HERE_6}/64", "dev", "tun0", "nodad")
            ip("-n", name, "link", "set", "tun0", "up")
            yield Link(name, descriptor)
        finally:
            os.close(descriptor)


def _open_tun() -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", b"tun0", _IFF_TUN | _IFF_NO_PI))
    return descriptor


@dataclass
class Peer:
    """One connection from the peer to a server in the namespace.

    `seq` is the next byte that the peer would send and `ack` the next that it expects. What `data` sends does not
    move `seq`: offsets are the caller's, counted from the first byte after the handshake.
    """

    link: Link
    ends: Ends
    seq: int = 1_000_000
    ack: int = 0
    window: int = 65535
    mss: int = 1460
    clock: int | None = None
    received: bytearray = field(default_factory=bytearray)
    reset: bool = False
    ended: bool = False
    first: int = 0

    def segment(self, flags: int, payload: bytes = b"", **changes: int | bytes) -> Segment:
        """Return a segment as an honest peer would send it now, with changes."""
        options = timestamps(self.clock) if self.clock is not None else b""
        plain = Segment(flags, self.seq, self.ack, self.window, options, payload)
        return replace(plain, **changes)  # type: ignore[arg-type]

    def send(self, segment: Segment, *, bad_checksum: bool = False, fragment: int = 0) -> None:
        """Let one segment arrive."""
        data = tcp(self.ends, segment, bad_checksum=bad_checksum)
        for packet in packets(self.ends, data, fragment=fragment):
            self.link.write(packet)

    def data(self, at: int, payload: bytes, *, flags: int = ACK | PSH, bad_checksum: bool = False, **more: int) -> None:
        """Let payload arrive at this offset of the stream."""
        fragment = more.pop("fragment", 0)
        segment = self.segment(flags, payload, seq=(self.first + at) % 2**32, **more)
        self.send(segment, bad_checksum=bad_checksum, fragment=fragment)

    def handshake(self, *, last_ack: bool = True, on_syn: bytes = b"") -> None:
        """Open the connection; without `last_ack` the caller completes the handshake."""
        options = struct.pack("!BBH", 2, 4, self.mss) + (timestamps(self.clock) if self.clock is not None else b"")
        self.send(self.segment(SYN, on_syn, options=options))
        answer = self.expect(SYN | ACK)
        self.seq = self.first = (self.seq + 1) % 2**32
        self.ack = answer.end
        if last_ack:
            self.send(self.segment(ACK))

    def expect(self, flags: int) -> Segment:
        """Return the next segment that has these flags."""
        deadline = time.monotonic() + DEADLINE
        while (segment := self._next(deadline)) is not None:
            if segment.flags & flags == flags:
                return segment
        raise AssertionError(f"no segment with flags {flags:#x} came")

    def _next(self, deadline: float) -> Segment | None:
        while (packet := self.link.read(deadline)) is not None:
            found = read(packet)
            if found is not None and found[0] == self.ends.source_port:
                return found[1]
        return None

    def acknowledged(self, count: int) -> None:
        """Wait until the kernel has acknowledged that many bytes of the stream."""
        wanted = (self.first + count) % 2**32
        while (self.expect(ACK).ack - wanted) % 2**32 >= 2**31:
            pass

    def listen(self, mark: bytes, *, acknowledge: bool = True) -> None:
        """Receive in order until `mark` stands in what came, acknowledging it."""
        deadline = time.monotonic() + DEADLINE
        while mark not in self.received and not self.reset:
            segment = self._next(deadline)
            assert segment is not None, f"{mark!r} did not come; got {bytes(self.received)!r}"
            self.take(segment, acknowledge=acknowledge)

    def take(self, segment: Segment, *, acknowledge: bool = True) -> None:
        """Take one segment as an honest receiver does."""
        self.reset |= bool(segment.flags & RST)
        if segment.flags & ACK:
            # An acknowledgement from before what the kernel has taken would be none.
            self.seq = segment.ack
        if segment.seq == self.ack and acknowledge:
            self.received += segment.payload
            self.ended |= bool(segment.flags & FIN)
            self.ack = segment.end
        if segment.payload and acknowledge:
            self.send(self.segment(ACK))

    def finish(self, sent: int) -> None:
        """End the peer's half after that many bytes, and wait for the server's end."""
        self.seq = (self.first + sent) % 2**32
        self.send(self.segment(FIN | ACK))
        self.seq = (self.seq + 1) % 2**32
        deadline = time.monotonic() + DEADLINE
        while not self.ended and not self.reset:
            segment = self._next(deadline)
            assert segment is not None, "the server did not end"
            self.take(segment)
        self.send(self.segment(ACK))
