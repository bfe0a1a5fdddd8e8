"""IPv4, IPv6 and TCP packets made and read by hand (RFC 791, RFC 8200, RFC 9293)."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

FIN, SYN, RST, PSH, ACK, URG = (1 << bit for bit in range(6))

NO_OPERATION = b"\x01"
RECORD_ROUTE = bytes([7, 11, 4]) + bytes(8)
"""An IPv4 option of 11 bytes with room for two addresses."""

DESTINATION_OPTIONS = 60
_TCP = 6


@dataclass(frozen=True)
class Ends:
    """Where packets come from and go to; `options` stand between the IP header and TCP in each packet sent."""

    source: str
    target: str
    source_port: int
    target_port: int
    options: bytes = b""

    @property
    def six(self) -> bool:
        """Whether this is IPv6."""
        return ":" in self.source


@dataclass(frozen=True)
class Segment:
    """A segment that arrived."""

    flags: int
    seq: int
    ack: int
    window: int
    options: bytes
    payload: bytes

    @property
    def end(self) -> int:
        """The sequence number after it."""
        return (self.seq + len(self.payload) + bool(self.flags & (SYN | FIN))) % 2**32


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp(ends: Ends, segment: Segment, *, bad_checksum: bool = False, urgent: int = 0) -> bytes:
    """Return the segment's bytes; `bad_checksum` makes TCP refuse them."""
    options = segment.options + b"\0" * (-len(segment.options) % 4)
    offset = (20 + len(options)) // 4
    head = struct.pack(
        "!HHIIBBHHH",
        ends.source_port,
        ends.target_port,
        segment.seq % 2**32,
        segment.ack % 2**32,
        offset << 4,
        segment.flags,
        segment.window,
        0,
        urgent,
    )
    data = head + options + segment.payload
    value = checksum(_pseudo(ends, len(data)) + data) ^ (0x5A5A if bad_checksum else 0)
    return data[:16] + struct.pack("!H", value) + data[18:]


def _pseudo(ends: Ends, length: int) -> bytes:
    source, target = packed(ends.source), packed(ends.target)
    if ends.six:
        return source + target + struct.pack("!IxxxB", length, _TCP)
    return source + target + struct.pack("!xBH", _TCP, length)


def packed(address: str) -> bytes:
    """Return an address in network order."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def packets(ends: Ends, data: bytes, *, fragment: int = 0, number: int = 1) -> list[bytes]:
    """Wrap TCP's bytes in IP; `fragment` cuts them into IPv4 fragments of that many bytes (a multiple of 8)."""
    if ends.six:
        return [_six(ends, data)]
    if not fragment:
        return [_four(ends, data, 0, number)]
    cuts = range(0, len(data), fragment)
    more = [0x2000 if at + fragment < len(data) else 0 for at in cuts]
    return [_four(ends, data[at : at + fragment], flag | at // 8, number) for at, flag in zip(cuts, more, strict=True)]


def _four(ends: Ends, data: bytes, fragment: int, number: int) -> bytes:
    options = ends.options + b"\0" * (-len(ends.options) % 4)
    words = (20 + len(options)) // 4
    head = struct.pack(
        "!BBHHHBBH4s4s",
        0x40 | words,
        0,
        words * 4 + len(data),
        number,
        fragment,
        64,
        _TCP,
        0,
        packed(ends.source),
        packed(ends.target),
    )
    head += options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + data


def _six(ends: Ends, data: bytes) -> bytes:
    following = _TCP
    if ends.options:
        # A destination options header whose content is padding (PadN): it means nothing and must be passed over.
        length = -(-(len(ends.options) + 4) // 8) * 8
        content = bytes([1, length - 4]) + bytes(length - 4)
        data = bytes([_TCP, length // 8 - 1]) + content + data
        following = DESTINATION_OPTIONS
    head = struct.pack("!IHBB16s16s", 6 << 28, len(data), following, 64, packed(ends.source), packed(ends.target))
    return head + data


def read(packet: bytes) -> tuple[int, Segment] | None:
    """Return the target port and the segment of a TCP packet; None for anything else."""
    version = packet[0] >> 4
    if version == 4:
        if packet[9] != _TCP:
            return None
        data = packet[(packet[0] & 15) * 4 : int.from_bytes(packet[2:4])]
    else:
        if packet[6] != _TCP:
            return None
        data = packet[40 : 40 + int.from_bytes(packet[4:6])]
    _, port, seq, ack, offset, flags, window = struct.unpack("!HHIIBBH", data[:16])
    start = (offset >> 4) * 4
    return port, Segment(flags, seq, ack, window, data[20:start], data[start:])
