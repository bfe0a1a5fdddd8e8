"""What a peer may do to a receiver with one request: each scenario gets GOOD through, however it does it.

OTHER is as long as GOOD and differs in target and tenant; wherever bytes of OTHER are sent, TCP must refuse them or
(`AMBIGUOUS`) a rule of the receiver decides which of two copies counts.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.kernel.packets import ACK, FIN, PSH, RST, SYN
from tests.kernel.tcp_peer import Peer, timestamps

Scenario = Callable[[Peer], None]


def request(target: str, tenant: str) -> bytes:
    """Return a request whose length does not depend on what it says (both are of fixed length)."""
    pad = "".join(f"X-Pad-{number}: {'p' * 20}\r\n" for number in range(6))
    return f"GET /{target} HTTP/1.1\r\nHost: a.example\r\n{pad}X-Tenant: {tenant}\r\nX-End: 1\r\n\r\n".encode()


GOOD, OTHER = request("truth", "acme"), request("false", "evil")
SIZE = len(GOOD)
CUT = 8
"""A place inside the target, so that a mix of both requests shows."""


def in_order(peer: Peer) -> None:
    peer.handshake()
    for at in range(0, SIZE, 50):
        peer.data(at, GOOD[at : at + 50])


def reordered(peer: Peer) -> None:
    peer.handshake()
    for at in reversed(range(0, SIZE, 50)):
        peer.data(at, GOOD[at : at + 50])


def reordered_inside_the_line_breaks(peer: Peer) -> None:
    peer.handshake()
    cut = GOOD.index(b"\r\n") + 1
    peer.data(cut, GOOD[cut : SIZE - 1])
    peer.data(SIZE - 1, GOOD[-1:])
    peer.data(0, GOOD[:cut])


def repeated(peer: Peer) -> None:
    peer.handshake()
    for at in range(0, SIZE, 50):
        for _ in range(3):
            peer.data(at, GOOD[at : at + 50])
    peer.data(0, GOOD)


def repeated_with_other_bytes_after_it_was_accepted(peer: Peer) -> None:
    peer.handshake()
    peer.data(0, GOOD[:150])
    peer.acknowledged(150)
    peer.data(0, OTHER[:150])
    peer.data(100, OTHER[100:150] + GOOD[150:])


def overlapping_with_the_same_bytes(peer: Peer) -> None:
    peer.handshake()
    peer.data(0, GOOD[:150])
    peer.data(100, GOOD[100:200])
    peer.data(50, GOOD[50:])


def starting_before_the_window(peer: Peer) -> None:
    peer.handshake()
    peer.data(-10, b"0123456789" + GOOD)


def waiting_copy_differs_from_the_expected_one(peer: Peer) -> None:
    peer.handshake()
    peer.data(CUT, OTHER[CUT:100])
    peer.data(0, GOOD[:100])
    peer.data(100, GOOD[100:])


def waiting_copy_covers_more_than_the_expected_one(peer: Peer) -> None:
    peer.handshake()
    peer.data(CUT, GOOD[CUT:])
    peer.data(0, GOOD[:CUT] + OTHER[CUT:50])


def two_waiting_copies_the_earlier_start_first(peer: Peer) -> None:
    peer.handshake()
    peer.data(CUT, GOOD[CUT:100])
    peer.data(CUT + 2, OTHER[CUT + 2 : 120])
    peer.data(100, GOOD[100:])
    peer.data(0, GOOD[:CUT])


def two_waiting_copies_the_later_start_first(peer: Peer) -> None:
    peer.handshake()
    peer.data(CUT + 2, OTHER[CUT + 2 : 120])
    peer.data(CUT, GOOD[CUT:100])
    peer.data(100, GOOD[100:])
    peer.data(0, GOOD[:CUT])


def two_waiting_copies_the_second_covers_the_first(peer: Peer) -> None:
    peer.handshake()
    peer.data(CUT + 1, OTHER[CUT + 1 : 60])
    peer.data(CUT, GOOD[CUT:])
    peer.data(0, GOOD[:CUT])


def two_waiting_copies_the_first_covers_the_second(peer: Peer) -> None:
    peer.handshake()
    peer.data(CUT, GOOD[CUT:])
    peer.data(CUT + 1, OTHER[CUT + 1 : 60])
    peer.data(0, GOOD[:CUT])


def two_waiting_copies_of_the_same_place(peer: Peer) -> None:
    peer.handshake()
    peer.data(CUT, OTHER[CUT:100])
    peer.data(CUT, GOOD[CUT:100])
    peer.data(100, GOOD[100:])
    peer.data(0, GOOD[:CUT])


def bad_checksum_first(peer: Peer) -> None:
    peer.handshake()
    peer.data(0, OTHER, bad_checksum=True)
    peer.data(0, GOOD)


def bad_checksum_of_a_short_segment(peer: Peer) -> None:
    peer.handshake()
    peer.data(0, OTHER[:20], bad_checksum=True)
    peer.data(0, GOOD[:20])
    peer.data(20, GOOD[20:])


def bad_checksum_in_the_middle(peer: Peer) -> None:
    peer.handshake()
    peer.data(0, GOOD[:CUT])
    peer.data(CUT, OTHER[CUT:], bad_checksum=True)
    peer.data(CUT, GOOD[CUT:100])
    peer.data(100, GOOD[100:])


def bad_checksum_out_of_order(peer: Peer) -> None:
    peer.handshake()
    peer.data(CUT, OTHER[CUT:], bad_checksum=True)
    peer.data(0, GOOD[:CUT])
    peer.data(CUT, GOOD[CUT:])


def bad_checksum_longer_than_what_follows(peer: Peer) -> None:
    peer.handshake()
    peer.data(0, OTHER + OTHER, bad_checksum=True)
    peer.data(0, GOOD[:100])
    peer.data(100, GOOD[100:])


def bad_checksum_after_the_good_one_waits(peer: Peer) -> None:
    peer.handshake()
    peer.data(CUT, GOOD[CUT:])
    peer.data(0, OTHER, bad_checksum=True)
    peer.data(0, GOOD[:CUT])


def bad_checksum_on_the_handshakes_ack(peer: Peer) -> None:
    peer.handshake(last_ack=False)
    peer.data(0, OTHER, bad_checksum=True)
    peer.data(0, GOOD)


def beyond_the_window(peer: Peer) -> None:
    peer.handshake()
    peer.data(1 << 24, OTHER)
    peer.data(0, GOOD[:100])
    peer.data(1 << 30, OTHER)
    peer.data(100, GOOD[100:])


def long_before_the_window(peer: Peer) -> None:
    peer.handshake()
    peer.data(-2 * SIZE, OTHER)
    peer.data(0, GOOD[:100])
    peer.data(-(1 << 30), OTHER)
    peer.data(100, GOOD[100:])


def on_the_handshakes_ack(peer: Peer) -> None:
    peer.handshake(last_ack=False)
    peer.data(0, GOOD)


def on_the_handshakes_ack_in_two_parts(peer: Peer) -> None:
    peer.handshake(last_ack=False)
    peer.data(0, GOOD[:CUT])
    peer.data(CUT, GOOD[CUT:])


def on_the_handshakes_ack_out_of_order(peer: Peer) -> None:
    peer.handshake(last_ack=False)
    peer.data(CUT, GOOD[CUT:])
    peer.data(0, GOOD[:CUT])


def on_the_syn_and_again(peer: Peer) -> None:
    peer.handshake(on_syn=OTHER)
    peer.data(0, GOOD)


def without_the_ack_flag(peer: Peer) -> None:
    peer.handshake()
    peer.data(0, OTHER, flags=PSH)
    peer.data(0, GOOD)


def acknowledging_what_was_never_sent(peer: Peer) -> None:
    peer.handshake()
    peer.data(0, OTHER, ack=(peer.ack + 1_000_000) % 2**32)
    peer.data(0, GOOD)


def with_an_old_timestamp(peer: Peer) -> None:
    peer.clock = 1_000_000
    peer.handshake()
    peer.clock += 1
    peer.data(0, GOOD[:CUT])
    peer.acknowledged(CUT)
    peer.send(peer.segment(ACK | PSH, OTHER[CUT:], seq=(peer.first + CUT) % 2**32, options=timestamps(10)))
    peer.data(CUT, GOOD[CUT:])


def with_a_syn_in_the_middle(peer: Peer) -> None:
    peer.handshake()
    peer.data(0, GOOD[:CUT])
    peer.data(CUT, OTHER[CUT:], flags=SYN | ACK)
    peer.data(CUT, GOOD[CUT:])


def resets_that_tcp_refuses(peer: Peer) -> None:
    peer.handshake()
    peer.data(0, GOOD[:CUT])
    peer.acknowledged(CUT)
    for bad, at in ((True, CUT), (False, CUT + 1000), (False, -100), (False, 1 << 25)):
        segment = peer.segment(RST | ACK, seq=(peer.first + at) % 2**32)
        peer.send(segment, bad_checksum=bad)
    peer.data(CUT, GOOD[CUT:])


def an_end_that_tcp_refuses(peer: Peer) -> None:
    peer.handshake()
    peer.data(0, GOOD[:CUT])
    peer.data(CUT, b"", flags=FIN | ACK, bad_checksum=True)
    peer.data(CUT, OTHER[CUT:], flags=FIN | ACK, bad_checksum=True)
    peer.data(CUT, GOOD[CUT:])


def across_the_wrap_of_sequence_numbers(peer: Peer) -> None:
    peer.seq = 2**32 - 60
    peer.handshake()
    peer.data(100, GOOD[100:])
    peer.data(0, GOOD[:100])


def across_the_sign_of_sequence_numbers(peer: Peer) -> None:
    peer.seq = 2**31 - 60
    peer.handshake()
    peer.data(0, OTHER, bad_checksum=True)
    peer.data(0, GOOD[:100])
    peer.data(100, GOOD[100:])


def byte_by_byte_backwards(peer: Peer) -> None:
    peer.handshake()
    for at in reversed(range(SIZE)):
        peer.data(at, GOOD[at : at + 1])


REFUSED: list[Scenario] = [
    in_order,
    reordered,
    reordered_inside_the_line_breaks,
    repeated,
    repeated_with_other_bytes_after_it_was_accepted,
    overlapping_with_the_same_bytes,
    starting_before_the_window,
    bad_checksum_first,
    bad_checksum_of_a_short_segment,
    bad_checksum_in_the_middle,
    bad_checksum_out_of_order,
    bad_checksum_longer_than_what_follows,
    bad_checksum_after_the_good_one_waits,
    bad_checksum_on_the_handshakes_ack,
    beyond_the_window,
    long_before_the_window,
    on_the_handshakes_ack,
    on_the_handshakes_ack_in_two_parts,
    on_the_handshakes_ack_out_of_order,
    on_the_syn_and_again,
    without_the_ack_flag,
    acknowledging_what_was_never_sent,
    with_an_old_timestamp,
    with_a_syn_in_the_middle,
    resets_that_tcp_refuses,
    an_end_that_tcp_refuses,
    across_the_wrap_of_sequence_numbers,
    across_the_sign_of_sequence_numbers,
    byte_by_byte_backwards,
]
"""Scenarios in which TCP takes no byte that differs: nothing is ambiguous, so the row must be complete."""

AMBIGUOUS: list[Scenario] = [
    waiting_copy_differs_from_the_expected_one,
    waiting_copy_covers_more_than_the_expected_one,
    two_waiting_copies_the_earlier_start_first,
    two_waiting_copies_the_later_start_first,
    two_waiting_copies_the_second_covers_the_first,
    two_waiting_copies_the_first_covers_the_second,
    two_waiting_copies_of_the_same_place,
]
"""Scenarios in which two copies differ and the receiver's rules decide."""
