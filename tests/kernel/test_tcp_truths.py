"""A row says what the server's TCP accepted, whatever else a peer put on the wire; or a mark says what is not known."""

from __future__ import annotations

import itertools
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.capture import Capture, Row
from tests.e2e.namespaces import inside, run
from tests.e2e.raw_server import Handler, RawServer, echo, listener
from tests.e2e.rows import assert_request, assert_response, connection, quality, role, targets
from tests.e2e.waiting import DEADLINE
from tests.e2e.wire import END, Conn, Head
from tests.kernel.packets import ACK, FIN, NO_OPERATION, PSH, RECORD_ROUTE, RST, Ends
from tests.kernel.scenarios import AMBIGUOUS, CUT, GOOD, REFUSED, SIZE, Scenario, in_order
from tests.kernel.tcp_peer import HERE_4, HERE_6, PEER_4, PEER_6, Link, Peer, link

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="there is no /dev/net/tun"),
]

NEXT = b"GET /next HTTP/1.1\r\nHost: a.example\r\nX-Next: 1\r\n\r\n"

FAMILIES = {
    "ipv4": (PEER_4, HERE_4, b""),
    "ipv4 with options": (PEER_4, HERE_4, RECORD_ROUTE + NO_OPERATION),
    "ipv6": (PEER_6, HERE_6, b""),
    "ipv6 with destination options": (PEER_6, HERE_6, b"pad"),
}

_ports = itertools.count(20_000)
_servers = itertools.count(10_000)


@dataclass
class Stage:
    """One device and one capture for all scenarios; each has a server of its own, so that rows are told apart."""

    link: Link
    directory: Path
    capture: Capture
    expected: dict[int, int] = field(default_factory=dict)

    def ends(self, family: str, port: int) -> Ends:
        source, target, options = FAMILIES[family]
        return Ends(source, target, next(_ports), port, options)

    @contextmanager
    def server(self, family: str, handler: Handler = echo, *, defer: bool = False) -> Iterator[RawServer]:
        """A server in the namespace that keeps the bytes that it received."""
        # Each server has a port that none had before: rows are told apart by it, and all share one capture.
        port = next(_servers)
        sock = inside(self.link.name, lambda: listener(FAMILIES[family][1], port))
        if defer:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
        with RawServer(handler, sock) as server:
            yield server

    def rows(self, port: int, count: int) -> list[Row]:
        """Wait for this many rows of a server; at the very end there must be no more of them."""
        try:
            rows = self.capture.wait_rows(port, count)
        except AssertionError:
            # What broke it must not break the tests that follow.
            self.capture.kill()
            self.capture, self.expected = Capture(self.directory), {}
            raise
        self.expected[port] = count
        return role(rows, "server")

    def close(self) -> None:
        """End the capture; by now no server may have more rows than were expected."""
        rows = self.capture.finish()
        for port, count in self.expected.items():
            mine = [row for row in rows if row["server"]["port"] == port]
            assert len(mine) == count, [(connection(row), row["client"]["port"], quality(row)) for row in mine]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("masthead")
    with link() as device:
        stage = Stage(device, directory, Capture(directory))
        try:
            yield stage
            stage.close()
        finally:
            stage.capture.kill()


def heads(received: bytes) -> list[Head]:
    """The requests that the server's bytes hold."""
    return [Head(part + END) for part in received.split(END) if part]


def converse(stage: Stage, family: str, scenario: Scenario, *, defer: bool = False) -> tuple[list[Row], bytes, bytes]:
    """Play a scenario and one more request after it; return the rows and what each end received."""
    with stage.server(family, defer=defer) as server:
        peer = Peer(stage.link, stage.ends(family, server.port))
        scenario(peer)
        peer.listen(b"/truth")
        peer.data(SIZE, NEXT)
        peer.listen(b"/next")
        peer.finish(SIZE + len(NEXT))
    return stage.rows(server.port, 2), server.received[0], bytes(peer.received)


def assert_truth(rows: list[Row], received: bytes, answered: bytes) -> None:
    """Fail unless the rows say what the server received and what the peer was answered."""
    answers = [Head(b"HTTP/1.1 " + part.split(END)[0] + END) for part in answered.split(b"HTTP/1.1 ")[1:]]
    for row, sent, answer in zip(rows, heads(received), answers, strict=True):
        assert_request(row, sent)
        assert_response(row, answer)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("scenario", REFUSED, ids=lambda scenario: scenario.__name__)
def test_bytes_that_tcp_refused_are_in_no_row_and_no_mark_is_needed(
    stage: Stage, scenario: Scenario, family: str
) -> None:
    rows, received, answered = converse(stage, family, scenario)
    assert received == GOOD + NEXT, "the scenario itself went wrong"
    assert_truth(rows, received, answered)
    assert [quality(row) for row in rows] == [[], []]


@pytest.mark.parametrize("scenario", AMBIGUOUS, ids=lambda scenario: scenario.__name__)
def test_where_two_copies_differ_the_row_is_the_servers_or_is_marked_overlap(stage: Stage, scenario: Scenario) -> None:
    with stage.server("ipv4") as server:
        peer = Peer(stage.link, stage.ends("ipv4", server.port))
        scenario(peer)
        peer.listen(b"HTTP/1.1 200")
        peer.data(SIZE, NEXT)
        peer.listen(b"/next")
        peer.finish(SIZE + len(NEXT))
    rows = stage.rows(server.port, 2)
    received = server.received[0]
    if "overlap" not in quality(rows[0]):
        assert_truth(rows, received, bytes(peer.received))
        assert quality(rows[0]) == []
    assert_request(rows[1], Head(NEXT))
    assert quality(rows[1]) == []


@pytest.mark.parametrize("parts", [[SIZE], [CUT, SIZE], [100, 200, SIZE]], ids=["whole", "two parts", "three parts"])
@pytest.mark.parametrize("family", FAMILIES)
def test_data_that_completes_a_deferred_handshake_is_in_the_row(stage: Stage, family: str, parts: list[int]) -> None:
    def scenario(peer: Peer) -> None:
        # Under TCP_DEFER_ACCEPT a bare acknowledgement opens nothing: data does.
        peer.handshake()
        for start, end in itertools.pairwise([0, *parts]):
            peer.data(start, GOOD[start:end])

    rows, received, answered = converse(stage, family, scenario, defer=True)
    assert_truth(rows, received, answered)
    assert [quality(row) for row in rows] == [[], []]


def test_data_that_completes_a_handshake_by_syn_cookie_is_in_the_row(stage: Stage) -> None:
    def scenario(peer: Peer) -> None:
        peer.handshake(last_ack=False)
        peer.data(0, GOOD)

    setting = ("ip", "netns", "exec", stage.link.name, "sysctl", "-qw")
    run(*setting, "net.ipv4.tcp_syncookies=2")
    try:
        rows, received, answered = converse(stage, "ipv4", scenario)
    finally:
        run(*setting, "net.ipv4.tcp_syncookies=1")
    assert_truth(rows, received, answered)
    assert [quality(row) for row in rows] == [[], []]


@pytest.mark.parametrize("size", [64, 128, 256])
def test_a_request_in_ip_fragments_is_a_row(stage: Stage, size: int) -> None:
    def scenario(peer: Peer) -> None:
        peer.handshake()
        peer.data(0, GOOD, fragment=size)

    rows, received, answered = converse(stage, "ipv4", scenario)
    assert_truth(rows, received, answered)
    assert [quality(row) for row in rows] == [[], []]


@pytest.mark.parametrize("order", ["in order", "out of order"])
def test_an_end_that_carries_data_ends_the_request_with_it(stage: Stage, order: str) -> None:
    with stage.server("ipv4") as server:
        peer = Peer(stage.link, stage.ends("ipv4", server.port))
        peer.handshake()
        if order == "in order":
            peer.data(0, GOOD, flags=ACK | PSH | FIN)
        else:
            peer.data(CUT, GOOD[CUT:], flags=ACK | PSH | FIN)
            peer.data(0, GOOD[:CUT])
        peer.listen(b"/truth")
    rows = stage.rows(server.port, 1)
    assert_truth(rows, server.received[0], bytes(peer.received))
    assert quality(rows[0]) == []


def test_a_reset_in_a_head_leaves_what_was_accepted_and_the_mark(stage: Stage) -> None:
    ended = threading.Event()

    def handler(conn: Conn) -> None:
        with pytest.raises((ConnectionResetError, AssertionError)):
            conn.until()
        ended.set()

    with stage.server("ipv4", handler) as server:
        peer = Peer(stage.link, stage.ends("ipv4", server.port))
        peer.handshake()
        peer.data(0, GOOD[: SIZE - 1])
        peer.data(SIZE - 1, b"", flags=RST | ACK)
        assert ended.wait(DEADLINE)
    (row,) = stage.rows(server.port, 1)
    assert targets([row]) == ["/truth"]
    assert {"reset", "no_response"} <= set(quality(row))


def test_a_reset_after_a_complete_exchange_takes_nothing_from_its_row(stage: Stage) -> None:
    with stage.server("ipv4") as server:
        peer = Peer(stage.link, stage.ends("ipv4", server.port))
        in_order(peer)
        peer.listen(b"/truth")
        peer.data(SIZE, b"", flags=RST | ACK)
        (row,) = stage.rows(server.port, 1)
    assert_truth([row], server.received[0], bytes(peer.received))
    assert quality(row) == []


def test_a_response_that_is_sent_again_is_one_response(stage: Stage) -> None:
    with stage.server("ipv4") as server:
        peer = Peer(stage.link, stage.ends("ipv4", server.port))
        in_order(peer)
        # Unacknowledged, it comes again after the retransmission timeout.
        first = peer.expect(ACK | PSH)
        again = peer.expect(ACK | PSH)
        assert (again.seq, again.payload) == (first.seq, first.payload)
        peer.take(again)
        peer.finish(SIZE)
    rows = stage.rows(server.port, 1)
    assert_truth(rows, server.received[0], bytes(peer.received))


def test_a_response_in_many_small_segments_is_one_response(stage: Stage) -> None:
    fields = b"".join(b"X-Field-%d: %s\r\n" % (number, b"v" * 30) for number in range(40))

    def handler(conn: Conn) -> None:
        conn.until()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n" + fields + b"\r\n/truth")
        conn.to_end()

    with stage.server("ipv4", handler) as server:
        peer = Peer(stage.link, stage.ends("ipv4", server.port), mss=90)
        in_order(peer)
        peer.listen(b"/truth")
        peer.finish(SIZE)
    rows = stage.rows(server.port, 1)
    assert_truth(rows, server.received[0], bytes(peer.received))
    assert quality(rows[0]) == []


def test_the_same_ports_used_again_are_another_connection(stage: Stage) -> None:
    with stage.server("ipv4") as server:
        ends = stage.ends("ipv4", server.port)
        for number in range(3):
            peer = Peer(stage.link, ends, seq=1_000_000 * (number + 1))
            in_order(peer)
            peer.listen(b"/truth")
            peer.data(SIZE, b"", flags=RST | ACK)
        rows = stage.rows(server.port, 3)
    assert len({connection(row) for row in rows}) == 3
    for row in rows:
        assert_request(row, Head(GOOD))
        assert quality(row) == []
