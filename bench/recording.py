"""Writes a capture file of ordinary API calls: what the parser alone is measured with."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bench.servers import REQUEST_FIELDS

if TYPE_CHECKING:
    from pathlib import Path

CONNECTIONS = 64
_ETHERNET = bytes(12) + b"\x08\x00"
_SYN, _SYN_ACK, _DATA = 0x02, 0x12, 0x18

_REQUEST = "\r\n".join(["GET /products/17?fields=name HTTP/1.1", "Host: api.example:8080", *REQUEST_FIELDS, "", ""])
_BODY = '{"id": 17, "name": "tea", "price": 4.2}'
_RESPONSE = (
    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 01 Aug 2026 12:00:00 GMT\r\n"
    f"Content-Type: application/json\r\nContent-Length: {len(_BODY)}\r\nConnection: keep-alive\r\n\r\n{_BODY}"
)


def write(file: Path, exchanges: int) -> None:
    """Write a pcap file (nanoseconds, Ethernet, IPv4, no checksums) with so many exchanges."""
    request, response = _REQUEST.encode(), _RESPONSE.encode()
    time_ns = 1_785_585_600_000_000_000
    with file.open("wb", buffering=1 << 20) as out:
        out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65_535, 1))
        for number in range(CONNECTIONS):
            out.write(_packet(time_ns, _ports(number), (0, 0), _SYN, b""))
            out.write(_packet(time_ns, _ports(number)[::-1], (0, 1), _SYN_ACK, b""))
        for count in range(exchanges):
            turn, number = divmod(count, CONNECTIONS)
            asked, answered = 1 + turn * len(request), 1 + turn * len(response)
            time_ns += 1_000
            there = _ports(number)
            out.write(_packet(time_ns, there, (asked, answered), _DATA, request))
            out.write(_packet(time_ns + 500, there[::-1], (answered, asked + len(request)), _DATA, response))


def _ports(number: int) -> tuple[int, int]:
    return 40_000 + number, 8_080


def _packet(time_ns: int, ports: tuple[int, int], numbers: tuple[int, int], flags: int, payload: bytes) -> bytes:
    """Give one packet from port to port, with its sequence and acknowledgement numbers, in a pcap record."""
    tcp = struct.pack("!HHIIBBHHH", *ports, *numbers, 5 << 4, flags, 65_535, 0, 0)
    addresses = b"".join(b"\x0a\x00\x00\x01" if port == _ports(0)[1] else b"\x0a\x00\x00\x02" for port in ports)
    length = 20 + len(tcp) + len(payload)
    network = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0x4000, 64, 6, 0) + addresses
    frame = _ETHERNET + network + tcp + payload
    return struct.pack("<IIII", *divmod(time_ns, 1_000_000_000), len(frame), len(frame)) + frame
