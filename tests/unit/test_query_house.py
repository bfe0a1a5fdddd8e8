"""What is told of a database that does not answer as it should; real ones answer in tests/sinks/test_clickhouse.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from masthead.clickhouse.address import Address
from masthead.clickhouse.client import DatabaseError
from masthead.errors import QueryError
from masthead.query.house import HouseReader
from masthead.query.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator


class Answer:
    def __init__(self, text: bytes) -> None:
        self._text = text

    def chunks(self) -> Iterator[bytes]:
        if self._text:
            yield self._text

    def close(self) -> None:
        pass


class Client:
    """Gives one answer, or an error."""

    def __init__(self, answer: bytes | DatabaseError) -> None:
        self.address = Address.parse("clickhouse://a@127.0.0.1/db", "")
        self._answer = answer

    def stream(self, *_: object) -> Answer:
        if isinstance(self._answer, DatabaseError):
            raise self._answer
        return Answer(self._answer)


def reader(answer: bytes | DatabaseError, limits: Limits) -> HouseReader:
    made = HouseReader(Address.parse("clickhouse://a@127.0.0.1/db", ""), limits)
    client: Any = Client(answer)
    made._client = client  # noqa: SLF001 - the seam
    return made


@pytest.mark.parametrize("text", [b"", b'["a"]\n'])
def test_an_answer_that_ends_before_it_begins_is_no_defect(text: bytes) -> None:
    with pytest.raises(QueryError, match="no answer: the answer ended before it began"):
        reader(text, Limits()).ask("SELECT 1")


@pytest.mark.parametrize(("seconds", "told"), [(None, "stopped by the database"), (2.5, "stopped after 2.5 s")])
def test_a_limit_of_the_databases_own_is_told_as_one(seconds: float | None, told: str) -> None:
    with pytest.raises(QueryError, match=told):
        reader(DatabaseError("too slow", 159), Limits(seconds=seconds)).ask("SELECT 1")
