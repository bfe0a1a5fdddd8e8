"""The way to a server: what is sent, what is tried again, what waits, and that it adds up."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import pytest

from masthead.delivery import Again, Delivery, Limits, Load, Outcome, Refused, Sent, Spool, TooLarge
from tests.e2e.waiting import wait_for
from tests.unit.delivery_server import QUICK, Never, Server, delivery
from tests.unit.test_delivery_spool import LARGE, killed, numbers, some

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("masthead.delivery.backoff.FIRST", 0.01)
    monkeypatch.setattr("masthead.delivery.backoff.LONGEST", 0.05)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", LARGE)


def test_every_row_is_sent_once_and_in_order() -> None:
    server = Server()
    with delivery(server) as sink:
        for first in range(0, 100, 10):
            assert sink.write(some(first, 10)) == 0
    assert server.rows == list(range(100))
    assert server.closed
    assert (sink.account.received, sink.account.sent) == (100, 100)
    assert sink.account.text() == "received 100 = sent 100"


def test_rows_are_put_together_until_a_load_is_full_or_old_enough() -> None:
    server = Server()
    with delivery(server, limits=Limits(seconds=60, grace=5)) as sink:
        for first in range(0, 100, 10):
            sink.write(some(first, 10))
    assert [len(rows) for rows, _ in server.loads] == [100]
    server = Server()
    with delivery(server, limits=Limits(rows=30, seconds=60, grace=5)) as sink:
        for first in range(0, 100, 10):
            sink.write(some(first, 10))
    assert [len(rows) for rows, _ in server.loads] == [30, 30, 30, 10]


def test_what_failed_is_tried_again_with_its_token(spool: Spool) -> None:
    server = Server(Again("busy", 0.0), Again("busy"))
    said: list[str] = []
    with delivery(server, spool, said=said) as sink:
        sink.write(some(0, 10))
        wait_for(lambda: server.rows == list(range(10)), "the rows are there")
        sink.write(some(10, 10))
        wait_for(lambda: server.rows == list(range(20)), "the later rows are there")
    assert (sink.account.failures, sink.account.sent) == (2, 20)
    assert "busy; rows wait in the spool, 10 now" in said[0]
    assert "takes rows again" in said[1]


def test_without_a_spool_what_failed_is_tried_again_from_memory() -> None:
    server = Server(Again("busy"))
    with delivery(server) as sink:
        sink.write(some(0, 10))
        wait_for(lambda: server.rows == list(range(10)), "the rows are there")


def test_tokens_are_kept_over_attempts_and_never_shared(spool: Spool) -> None:
    seen: list[str] = []

    class Listening(Server):
        def send(self, load: Load) -> Outcome:
            seen.append(load.token)
            return super().send(load)

    server = Listening(Again("busy"), Again("busy"))
    with delivery(server, spool) as sink:
        sink.write(some(0, 10))
        wait_for(lambda: bool(server.rows), "the rows are there")
        sink.write(some(10, 10))
        wait_for(lambda: len(server.rows) == 20, "all rows are there")
    assert seen[0] == seen[1] == seen[2] != seen[3]


def test_only_the_rows_that_the_server_could_not_take_come_again(spool: Spool) -> None:
    server = Server(Sent(again=(1, 3)), Sent(refused=1, reason="no such field"))
    said: list[str] = []
    with delivery(server, spool, said=said) as sink:
        sink.write(some(0, 5))
        wait_for(lambda: sink.account.waiting == 0, "all is settled")
    assert [rows for rows, _ in server.loads] == [[0, 2, 4], [3]]
    assert (sink.account.sent, sink.account.refused) == (4, 1)
    assert any("1 rows refused: no such field" in message for message in said)


def test_rows_that_are_refused_are_counted_and_hold_nothing_up() -> None:
    server = Server(Refused("not JSON"))
    with delivery(server) as sink:
        sink.write(some(0, 5))
        wait_for(lambda: sink.account.refused == 5, "the rows are refused")
        sink.write(some(5, 5))
    assert server.rows == list(range(5, 10))


@pytest.mark.parametrize("spooled", [True, False])
def test_a_load_that_is_too_large_goes_in_halves(spool: Spool, *, spooled: bool) -> None:
    class Small(Server):
        def send(self, load: Load) -> Outcome:
            return super().send(load) if load.batch.num_rows <= 3 else TooLarge("413")

    server = Small()
    with delivery(server, spool if spooled else None) as sink:
        if spooled:
            server.answers.append(Again("busy"))
            sink.write(some(0, 1))
        sink.write(some(1, 10))
        wait_for(lambda: sink.account.waiting == 0, "all is sent")
    assert sorted(server.rows) == list(range(0 if spooled else 1, 11))
    assert len({token for _, token in server.loads}) == len(server.loads)


def test_one_row_that_is_too_large_is_refused() -> None:
    server = Server(TooLarge("413"))
    with delivery(server) as sink:
        sink.write(some(0, 1))
        wait_for(lambda: sink.account.refused == 1, "it is refused")


def test_nothing_is_lost_while_the_server_is_down_and_the_next_start_sends_it(tmp_path: Path) -> None:
    down, folder = Never(), tmp_path / "spool"
    with delivery(down, Spool(folder, LARGE), limits=Limits(seconds=0, grace=0.05)) as sink:
        for first in range(0, 100, 10):
            assert sink.write(some(first, 10)) == 0
    assert sink.account.dropped == 0
    server, said = Server(), list[str]()
    with delivery(server, Spool(folder, LARGE), said=said) as sink:
        wait_for(lambda: len(server.rows) == 100, "the rows are sent")
        sink.write(some(100, 10))
    assert server.rows == list(range(110))
    assert "100 rows of an earlier run" in said[0]
    assert server.loads[0][1] == down.loads[0][1]


def test_nothing_is_lost_when_the_process_is_killed_in_an_outage(tmp_path: Path) -> None:
    down, folder = Never(), tmp_path / "spool"
    held = Spool(folder, LARGE)
    sink = Delivery("db", down, QUICK, held, tell=lambda _: None)
    sink.write(some(0, 10))
    wait_for(lambda: bool(down.loads), "the outage is known")
    for first in range(10, 50, 10):
        sink.write(some(first, 10))
    wait_for(lambda: sink.account.spooled == 50, "all is on the disk")
    # Nothing is closed: what another process finds is what is there.
    killed(held)
    server = Server()
    with delivery(server, Spool(folder, LARGE)):
        wait_for(lambda: len(server.rows) == 50, "the rows are sent")
    assert server.rows == list(range(50))


def test_writing_never_waits_for_a_server_that_is_slow(spool: Spool) -> None:
    server = Server()
    server.open.clear()
    one = some(0, 100)
    with delivery(server, spool, limits=Limits(seconds=0, memory=one.nbytes * 3)) as sink:
        began = time.monotonic()
        for first in range(0, 2_000, 100):
            assert sink.write(some(first, 100)) == 0
        assert time.monotonic() - began < 5
        assert sink.queued_bytes <= one.nbytes * 3
        server.open.set()
        wait_for(lambda: len(server.rows) == 2_000, "all is sent")
    assert server.rows == list(range(2_000))
    assert sink.account.spooled > 0


def test_without_room_rows_are_dropped_and_counted() -> None:
    server = Server()
    server.open.clear()
    one, said = some(0, 100), list[str]()
    with delivery(server, None, limits=Limits(seconds=0, memory=one.nbytes * 3), said=said) as sink:
        missed = sum(sink.write(some(first, 100)) for first in range(0, 2_000, 100))
        assert missed == sink.account.dropped > 0
        server.open.set()
    assert sink.account.sent == 2_000 - missed
    assert any("no room for more rows" in message for message in said)


def test_a_sink_whose_policy_is_to_sample_sends_fewer_rows_that_weigh_more() -> None:
    server = Server()
    server.open.clear()
    one, said = some(0, 100), list[str]()
    limits = Limits(seconds=0, memory=one.nbytes * 20, behind="sample")
    with delivery(server, None, limits=limits, said=said) as sink:
        for first in range(0, 4_000, 100):
            sink.write(some(first, 100))
        server.open.set()
    counts = sink.account.counts()
    assert counts["sampled_out"] > 0
    assert counts["sent"] + counts["sampled_out"] + counts["dropped"] == 4_000
    assert any("can't keep up: one of" in message for message in said)


def test_closing_gives_up_after_its_grace_and_says_what_is_lost() -> None:
    said: list[str] = []
    with delivery(Never(), None, limits=Limits(seconds=0, grace=0.1), said=said) as sink:
        sink.write(some(0, 10))
    assert sink.account.dropped == 10
    assert "10 are lost" in said[-1]


def test_a_half_that_waits_is_found_again_by_the_next_process(tmp_path: Path) -> None:
    class Small(Never):
        def send(self, load: Load) -> Outcome:
            return TooLarge("413") if load.batch.num_rows > 3 else super().send(load)

    folder = tmp_path / "spool"
    with delivery(Small(), Spool(folder, LARGE), limits=Limits(seconds=0, grace=0.2)) as sink:
        sink.write(some(0, 10))
        wait_for(lambda: sink.account.failures > 3, "halves have failed")
    assert sink.account.dropped == 0
    server = Server()
    with delivery(server, Spool(folder, LARGE)):
        wait_for(lambda: len(server.rows) == 10, "the rows are sent")
    assert sorted(server.rows) == list(range(10))


def test_closing_leaves_an_attempt_that_does_not_end_and_the_next_start_repeats_it(tmp_path: Path) -> None:
    folder, stuck = tmp_path / "spool", Server()
    stuck.open.clear()
    said: list[str] = []
    held = Spool(folder, LARGE)
    sink = Delivery("db", stuck, Limits(seconds=0, grace=0.1), held, tell=said.append)
    sink.write(some(0, 10))
    wait_for(lambda: sink.account.attempts == 0 and not sink.queued_bytes, "it is being sent")
    sink.write(some(10, 10))
    began = time.monotonic()
    sink.close()
    assert time.monotonic() - began < 8
    assert "20 rows wait in the spool for the next start" in said[-1]
    stuck.open.set()
    wait_for(lambda: bool(stuck.loads), "the attempt has ended after all")
    server = Server()
    with delivery(server, Spool(folder, LARGE)):
        wait_for(lambda: len(server.rows) == 20, "the rows are sent")
    assert server.rows == list(range(20))
    # A server that keeps tokens has them once.
    assert server.loads[0][1] == stuck.loads[0][1]


@pytest.mark.parametrize("spooled", [True, False])
def test_whatever_a_sender_raises_its_rows_are_sent_again(spool: Spool, *, spooled: bool) -> None:
    class Broken(Server):
        def send(self, load: Load) -> Outcome:
            if len(self.answers) < 3:
                self.answers.append(Sent())
                raise (ValueError, TypeError, RuntimeError)[len(self.answers) - 1]("out of range")
            return super().send(load)

    server, said = Broken(), list[str]()
    with delivery(server, spool if spooled else None, said=said) as sink:
        sink.write(some(0, 10))
        wait_for(lambda: len(server.rows) == 10, "the rows are sent")
    assert (sink.account.sent, sink.account.failures) == (10, 3), said
    assert "a defect: ValueError: out of range" in said[0]


def test_rests_of_rests_are_kept_however_often(spool: Spool) -> None:
    server = Server(*([Sent(again=(0,))] * 80))
    with delivery(server, spool) as sink:
        sink.write(some(0, 3))
        wait_for(lambda: sink.account.waiting == 0, "all is sent", 60)
    assert sorted(server.rows) == [0, 1, 2]
    assert sink.account.dropped == 0


def test_rows_that_left_without_their_fields_are_counted_and_told() -> None:
    said: list[str] = []
    with delivery(Server(Sent(cut=2)), said=said) as sink:
        sink.write(some(0, 5))
        wait_for(lambda: sink.account.waiting == 0, "all is sent")
    assert sink.account.text() == "received 5 = sent 5; 2 of them sent without header fields"
    assert said == ["db: 2 rows left without header fields: the server has no room for them"]


def test_nothing_is_sent_before_the_start_or_a_first_row(tmp_path: Path) -> None:
    held = Spool(tmp_path, LARGE)
    held.append(some(0, 10))
    held.close()
    server = Server()
    sink = Delivery("unstarted", server, QUICK, Spool(tmp_path, LARGE), tell=lambda _: None)
    assert not any(thread.name == "masthead-unstarted" for thread in threading.enumerate())
    sink.start()
    wait_for(lambda: len(server.rows) == 10, "the rows of the earlier run are sent")
    sink.close()


def test_a_sink_that_never_started_keeps_what_its_spool_has(tmp_path: Path) -> None:
    held = Spool(tmp_path, LARGE)
    held.append(some(0, 10))
    held.close()
    said: list[str] = []
    sink = Delivery("db", Server(), QUICK, Spool(tmp_path, LARGE), tell=said.append)
    sink.close()
    assert "10 rows wait in the spool for the next start" in said[-1]
    assert Spool(tmp_path, LARGE).rows == 10


@pytest.mark.parametrize("answer", [Refused("not JSON"), TooLarge("413")])
def test_a_server_that_refuses_rows_is_no_longer_away(spool: Spool, answer: Outcome) -> None:
    server, said = Server(Again("busy"), Again("busy"), answer), list[str]()
    with delivery(server, spool, said=said) as sink:
        sink.write(some(0, 1))
        wait_for(lambda: sink.account.waiting == 0, "it is settled")
    assert any("takes rows again" in message for message in said)


class Moody(Server):
    """Halves, takes in part, refuses in part, asks to wait: whatever comes to its mind, which is always the same."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.draw = random.Random(seed)
        self.refused: list[int] = []

    def send(self, load: Load) -> Outcome:
        rows = numbers(load.batch)
        kind = self.draw.randrange(6)
        if kind == 0:
            return Again("busy")
        if kind == 1 and len(rows) > 1:
            return TooLarge("413")
        if kind == 2:
            self.refused += rows
            return Refused("no")
        if kind == 3:
            again = tuple(place for place in range(len(rows)) if self.draw.random() < 0.4)
            never = [place for place in range(len(rows)) if place not in again and self.draw.random() < 0.2]
            self.refused += [rows[place] for place in never]
            kept = [row for place, row in enumerate(rows) if place not in (*again, *never)]
            self.loads.append((kept, load.token))
            return Sent(refused=len(never), again=again)
        self.loads.append((rows, load.token))
        return Sent()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spooled", [True, False])
def test_halves_and_rests_of_each_other_add_up(tmp_path: Path, seed: int, *, spooled: bool) -> None:
    server = Moody(seed)
    with delivery(server, Spool(tmp_path, LARGE) if spooled else None) as sink:
        for first in range(0, 300, 30):
            sink.write(some(first, 30))
        wait_for(lambda: sink.account.waiting == 0, "all is settled", 60)
    assert sorted(server.rows + server.refused) == list(range(300))
    assert (sink.account.sent, sink.account.refused) == (len(server.rows), len(server.refused))
    tokens = [token for _, token in server.loads]
    assert len(set(tokens)) == len(tokens)
