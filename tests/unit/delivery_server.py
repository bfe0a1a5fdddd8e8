"""A server that answers as it is told, and the way to it, which must add up at its end."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from masthead.delivery import Again, Delivery, Limits, Load, Outcome, Sent, Spool
from masthead.delivery.backoff import Backoff
from tests.unit.test_delivery_spool import numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = Limits(seconds=0.0, grace=2.0)


class Server:
    """Takes loads, as the answers say that are given it; then all of them."""

    def __init__(self, *answers: Outcome) -> None:
        self.answers = list(answers)
        self.loads: list[tuple[list[int], str]] = []
        self.open = threading.Event()
        self.open.set()
        self.closed = False

    def send(self, load: Load) -> Outcome:
        self.open.wait(10)
        answer = self.answers.pop(0) if self.answers else Sent(bytes=load.batch.num_rows)
        if isinstance(answer, Sent):
            rows = [row for place, row in enumerate(numbers(load.batch)) if place not in answer.again]
            self.loads.append((rows[answer.refused :], load.token))
        return answer

    def close(self) -> None:
        self.closed = True

    @property
    def rows(self) -> list[int]:
        return [row for rows, _ in self.loads for row in rows]


class Never(Server):
    """Is down."""

    def send(self, load: Load) -> Outcome:
        self.loads.append((numbers(load.batch), load.token))
        return Again("connection refused")


@contextmanager
def delivery(
    server: Server, spool: Spool | None = None, limits: Limits = QUICK, said: list[str] | None = None
) -> Iterator[Delivery]:
    messages: list[str] = [] if said is None else said
    made = Delivery("db", server, limits, spool, tell=messages.append, backoff=Backoff(lambda: 0.0))
    made.start()
    try:
        yield made
    finally:
        made.close()
        counts = made.account.counts()
        assert counts["waiting"] == (spool.rows if spool else 0)
