"""Calls over HTTP/2 made by the Python library `h2`, what each of them said, and captures of them."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hpack import NeverIndexedHeaderTuple

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

Pair = tuple[str, str]

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
STATUSES = ["200", "201", "204", "301", "404", "418", "500", "503"]


@dataclass
class Call:
    """What was said on one stream, in order and without pseudo-header fields."""

    method: str = ""
    target: str = ""
    authority: str = ""
    request: list[Pair] = field(default_factory=list)
    request_trailers: list[Pair] = field(default_factory=list)
    status: int | None = None
    response: list[Pair] = field(default_factory=list)
    response_trailers: list[Pair] = field(default_factory=list)
    interim: list[int] = field(default_factory=list)
    reset: bool = False


@dataclass
class Talk:
    """One connection: its calls by stream, and what each end (`client`: true) wrote at a time."""

    calls: dict[int, Call] = field(default_factory=dict)
    writes: list[tuple[bool, bytes]] = field(default_factory=list)


class Speakers:
    """Both ends of a connection, and chance."""

    def __init__(self, seed: int) -> None:
        """Begin a connection; the same for the same `seed`."""
        self.chance = random.Random(seed)
        self.client = H2Connection(config=H2Configuration(client_side=True))
        self.server = H2Connection(config=H2Configuration(client_side=False))
        self.talk = Talk()
        self.client.initiate_connection()
        self.server.initiate_connection()
        self.pass_on()

    def pass_on(self) -> None:
        """Hand over what each end has to say until both are silent."""
        said = True
        while said:
            said = False
            for sender, receiver in ((self.client, self.server), (self.server, self.client)):
                if octets := sender.data_to_send():
                    self.talk.writes.append((sender is self.client, octets))
                    receiver.receive_data(octets)
                    said = True

    def maybe(self, share: float) -> bool:
        """True in this share of the cases."""
        return self.chance.random() < share

    def fields(self, most: int) -> list[Pair]:
        """Return fields that come again, new ones, and at times one that fills a good part of the table."""
        pairs = []
        for _ in range(self.chance.randrange(most)):
            name = f"x-{self.chance.choice(WORDS)}"
            value = self.chance.choice([*WORDS, str(self.chance.randrange(1000)), ""])
            pairs.append((name, value * 300 if self.maybe(0.03) else value))
        return pairs

    def block(self, pairs: list[Pair]) -> list[Pair | NeverIndexedHeaderTuple]:
        """Return the same fields, some of them never to be indexed."""
        return [NeverIndexedHeaderTuple(*pair) if self.maybe(0.1) else pair for pair in pairs]

    def ask(self) -> int:
        """Send a request; return its stream."""
        stream = self.client.get_next_available_stream_id()
        call = self.talk.calls[stream] = Call(self.chance.choice(["GET", "PUT", "POST"]))
        call.target = f"/{self.chance.choice(WORDS)}/{self.chance.randrange(5)}"
        call.authority = self.chance.choice(["a.example", "b.example"])
        call.request = self.fields(8)
        pseudo = [(":method", call.method), (":scheme", "http"), (":path", call.target), (":authority", call.authority)]
        body = self.maybe(0.4)
        self.client.send_headers(stream, [*pseudo, *self.block(call.request)], end_stream=not body)
        if body:
            trailers = self.maybe(0.3)
            padding = self.chance.randrange(20) if self.maybe(0.3) else None
            self.client.send_data(stream, b"b" * self.chance.randrange(3000), not trailers, padding)
            if trailers:
                call.request_trailers = [("x-sum", self.chance.choice(WORDS))]
                self.client.send_headers(stream, self.block(call.request_trailers), end_stream=True)
        return stream

    def answer(self, stream: int) -> None:
        """Answer the request on `stream`, or reset it."""
        call = self.talk.calls[stream]
        if self.maybe(0.05):
            call.reset = True
            self.server.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            return
        if self.maybe(0.1):
            call.interim = [103]
            self.server.send_headers(stream, [(":status", "103"), ("link", "</a>")])
        call.status = int(self.chance.choice(STATUSES))
        call.response = self.fields(8)
        trailers, body = self.maybe(0.3), self.maybe(0.6)
        head = [(":status", str(call.status)), *self.block(call.response)]
        self.server.send_headers(stream, head, end_stream=not (trailers or body))
        if body:
            self.server.send_data(stream, b"c" * self.chance.randrange(5000), not trailers)
        if trailers:
            call.response_trailers = [("x-end", self.chance.choice(WORDS)), *self.fields(3)]
            self.server.send_headers(stream, self.block(call.response_trailers), end_stream=True)

    def change_table(self) -> None:
        """Let one end ask for a table of another size, which both ends use at once: `h2` minds two changes in a row."""
        self.pass_on()
        asks = self.chance.choice([self.client, self.server])
        asks.update_settings({SettingCodes.HEADER_TABLE_SIZE: self.chance.choice([0, 128, 512, 4096, 65536])})
        self.pass_on()
        while True:
            stream = self.ask()
            self.pass_on()
            self.answer(stream)
            self.pass_on()
            if not self.talk.calls[stream].reset:
                return

    def open_windows(self) -> None:
        """Let both ends go on sending."""
        for end in (self.client, self.server):
            end.increment_flow_control_window(1 << 20)


def talk(seed: int, calls: int) -> Talk:
    """A connection with so many calls, side by side, answered in any order."""
    speakers = Speakers(seed)
    waiting: list[int] = []
    for _ in range(calls):
        waiting.append(speakers.ask())
        if speakers.maybe(0.7):
            speakers.pass_on()
        if speakers.maybe(0.03):
            speakers.change_table()
        while waiting and speakers.maybe(0.5):
            speakers.pass_on()
            speakers.answer(waiting.pop(speakers.chance.randrange(len(waiting))))
        speakers.open_windows()
    speakers.pass_on()
    for stream in waiting:
        speakers.answer(stream)
    speakers.pass_on()
    return speakers.talk


@dataclass
class Packet:
    """A TCP segment in a capture."""

    client: bool
    seq: int
    ack: int
    octets: bytes
    syn: bool = False


def packets(writes: list[tuple[bool, bytes]], chance: random.Random) -> list[Packet]:
    """Each write as segments of any size, with a handshake before them."""
    at = {True: 1000, False: 5000}
    all_ = [Packet(client=True, seq=999, ack=0, octets=b"", syn=True)]
    all_.append(Packet(client=False, seq=4999, ack=1000, octets=b"", syn=True))
    for client, octets in writes:
        rest = octets
        while rest:
            size = chance.randrange(1, 1460)
            part, rest = rest[:size], rest[size:]
            all_.append(Packet(client, at[client], at[not client], part))
            at[client] += len(part)
    return all_


def write_pcap(path: Path, sent: list[Packet], kept: Container[int]) -> None:
    """Write those packets whose numbers are `kept`, as raw IPv4 (LINKTYPE_RAW), a millisecond apart."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for number, packet in enumerate(sent):
            if number not in kept:
                continue
            ports = (40000, 80) if packet.client else (80, 40000)
            flags = 0x18 | (0x02 if packet.syn else 0)
            if packet.syn:
                flags = 0x02 if packet.client else 0x12
            tcp = struct.pack(">HHIIBBHHH", *ports, packet.seq, packet.ack, 0x50, flags, 65535, 0, 0)
            addresses = (b"\x0a\0\0\x01", b"\x0a\0\0\x02") if packet.client else (b"\x0a\0\0\x02", b"\x0a\0\0\x01")
            length = 20 + len(tcp) + len(packet.octets)
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, number & 0xFFFF, 0x4000, 64, 6, 0, *addresses)
            record = ip + tcp + packet.octets
            file.write(
                struct.pack("<IIII", 1_700_000_000 + number // 1000, number % 1000 * 1000, len(record), len(record))
            )
            file.write(record)
