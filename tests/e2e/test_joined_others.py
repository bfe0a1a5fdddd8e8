"""Connections of other protocols that were there before masthead: none of them is taken for HTTP/2 by its bytes."""

from __future__ import annotations

import random
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from tests.e2e.servers import free_port
from tests.e2e.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.capture import Capture

pytestmark = pytest.mark.e2e

SEGMENTS = 400
"""Of each protocol, to each side: more than masthead looks at before it gives a connection up."""


def noise(dice: random.Random) -> bytes:
    """Octets without any order."""
    return dice.randbytes(dice.randint(1, 3000))


def zeros(dice: random.Random) -> bytes:
    """Mostly zeros with small numbers among them, as tables and images have them."""
    return bytes(dice.choice((0, 0, 0, 0, 1, 2, 4, 8)) for _ in range(dice.randint(9, 300)))


def tls(dice: random.Random) -> bytes:
    """A record of TLS 1.2's or 1.3's application data."""
    size = dice.randint(20, 4000)
    return b"\x17\x03\x03" + struct.pack(">H", size) + dice.randbytes(size)


def kafka(dice: random.Random) -> bytes:
    """A request of Kafka's protocol: length, kind, version, correlation, client."""
    rest = struct.pack(">hhih", dice.randint(0, 60), dice.randint(0, 12), dice.getrandbits(16), 4) + b"shop"
    rest += dice.randbytes(dice.randint(0, 1200))
    return struct.pack(">i", len(rest)) + rest


def zookeeper(dice: random.Random) -> bytes:
    """A request or a ping of ZooKeeper's protocol."""
    rest = struct.pack(">ii", dice.choice((-2, dice.randint(1, 900))), dice.choice((11, 4, 8, 1)))
    rest += dice.choice((b"", struct.pack(">i", 6) + b"/a/b/c" + b"\0"))
    return struct.pack(">i", len(rest)) + rest


def mysql(dice: random.Random) -> bytes:
    """Packets of MySQL's protocol: length in three octets, number, a result's rows."""
    rows = [dice.randbytes(dice.randint(1, 200)) for _ in range(dice.randint(1, 5))]
    return b"".join(struct.pack("<I", len(row))[:3] + bytes([n]) + row for n, row in enumerate(rows))


def mongodb(dice: random.Random) -> bytes:
    """A message of MongoDB's protocol."""
    rest = struct.pack("<iiiI", dice.getrandbits(16), 0, 2013, 0) + dice.randbytes(dice.randint(5, 900))
    return struct.pack("<i", len(rest) + 4) + rest


def postgres(dice: random.Random) -> bytes:
    """A row and the end of PostgreSQL's answer."""
    row = dice.randbytes(dice.randint(1, 300))
    data = struct.pack(">hi", 1, len(row)) + row
    return b"D" + struct.pack(">i", len(data) + 4) + data + b"Z\0\0\0\x05I"


def dns(dice: random.Random) -> bytes:
    """A question of DNS over TCP."""
    rest = struct.pack(">HHHHHH", dice.getrandbits(16), 0x0100, 1, 0, 0, 0) + b"\x03www\x07example\0\0\x01\0\x01"
    return struct.pack(">H", len(rest)) + rest


PROTOCOLS = [noise, zeros, tls, kafka, zookeeper, mysql, mongodb, postgres, dns]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        client = socket.create_connection(server.getsockname()[:2], timeout=DEADLINE)
        accepted, _ = server.accept()
        with client, accepted:
            for end in (client, accepted):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield client, accepted


def say(end: socket.socket, other: socket.socket, data: bytes) -> None:
    """Send one segment and read it: the next one is a segment of its own."""
    writer = threading.Thread(target=end.sendall, args=(data,)) if len(data) > 1 << 15 else None
    if writer:
        writer.start()
    else:
        end.sendall(data)
    left = len(data)
    while left:
        left -= len(other.recv(left))
    if writer:
        writer.join()


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.__name__)
@pytest.mark.parametrize("sides", [2, 1], ids=["by turns", "one side"])
def test_what_was_there_before_and_is_no_http_stays_so(
    capture_with: Callable[..., Capture],
    ends: tuple[socket.socket, socket.socket],
    protocol: Callable[[random.Random], bytes],
    sides: int,
) -> None:
    client, server = ends
    dice = random.Random(protocol.__name__)
    say(client, server, protocol(dice))
    say(server, client, protocol(dice))
    capture = capture_with("--port", str(server.getsockname()[1]))
    for _ in range(SEGMENTS):
        say(client, server, protocol(dice))
        if sides > 1:
            say(server, client, protocol(dice))
    assert capture.finish(server.getsockname()[1]) == []
    assert capture.ledger is not None
    assert capture.ledger.get("notes.http_connections", 0) == 0, capture.ledger
