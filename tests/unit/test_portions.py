"""Parts of batches and batches together, compared with what pyarrow makes of the same rows."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from masthead._native import Batch, concat
from tests.unit.stored import batches, call, pairs, random_calls

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = dict[str, Any]


def batch(calls: Sequence[Row]) -> Batch:
    (made,) = batches(calls, rows=len(calls))
    return made


def rows(made: Batch) -> list[Row]:
    return list(pa.table(made).to_pylist())


def ends(count: int, letter: str, cookie: str) -> list[Row]:
    """Rows of one end: the same calls over the same sockets, with that end's own ids and times."""
    return [
        call(
            number,
            exchange_id=f"{cookie}-{number // 5:x}-{letter}-{number % 5}",
            connection_id=f"{cookie}-{number // 5:x}",
            client_address="10.0.0.7",
            client_port=10_000 + number // 5,
            server_address="10.0.0.9",
            server_port=80,
            duration_ns=number if letter == "s" else number + 100,
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def made() -> Batch:
    return batch(random_calls(400))


def test_rows_that_are_taken_are_those_rows_in_that_order(made: Batch) -> None:
    all_rows = rows(made)
    draw = random.Random(3)
    for count in (0, 1, 7, 400, 900):
        places = [draw.randrange(400) for _ in range(count)]
        assert rows(made.take(places)) == [all_rows[place] for place in places]


def test_a_slice_ends_where_the_batch_ends(made: Batch) -> None:
    all_rows = rows(made)
    for offset, length in [(0, 400), (0, 0), (3, 9), (399, 5), (400, 1), (1_000, 1_000), (0, 2**63)]:
        assert rows(made.slice(offset, length)) == all_rows[offset:][:length]


def test_a_slice_can_be_sliced_taken_from_and_written(made: Batch) -> None:
    part = made.slice(100, 200).slice(50, 100)
    lines = made.ndjson().splitlines()
    assert part.ndjson().splitlines() == lines[150:250]
    assert part.take([0, 99, 0]).ndjson().splitlines() == [lines[150], lines[249], lines[150]]


def test_there_is_no_row_behind_the_last(made: Batch) -> None:
    with pytest.raises(IndexError, match="row 400 of a batch of 400"):
        made.take([0, 400])
    with pytest.raises(OverflowError):
        made.take([-1])


def test_batches_together_have_all_rows_in_order(made: Batch) -> None:
    parts = [made.slice(0, 100), made.take([7]), made.take([]), *batches(random_calls(50, seed=9))]
    assert rows(concat(parts)) == [row for part in parts for row in rows(part)]
    assert rows(concat([])) == []
    assert concat(parts).ndjson("pairs") == b"".join(part.ndjson("pairs") for part in parts)


def words(array: pa.Array) -> list[pa.DictionaryArray]:
    """Give the dictionary arrays in an array."""
    if pa.types.is_dictionary(array.type):
        return [array]
    if pa.types.is_list(array.type):
        return words(array.flatten())
    if pa.types.is_struct(array.type):
        return [found for part in array.flatten() for found in words(part)]
    return []


def test_dictionaries_hold_each_word_that_is_used_once(made: Batch) -> None:
    for some in (made.take([5]), made.take([]), concat([made] * 20), concat([made.take([4]), made.slice(9, 3)])):
        for column in pa.table(some).columns:
            for array in words(column.combine_chunks()):
                held = array.dictionary.to_pylist()
                assert sorted(held) == sorted({word for word in array.to_pylist() if word is not None})


def test_many_batches_together_take_no_more_than_one_by_one(made: Batch) -> None:
    parts = [made.slice(place, 10) for place in range(0, 400, 10)]
    assert concat(parts).nbytes < 1.05 * made.nbytes


def test_the_bytes_of_a_batch_are_about_those_that_pyarrow_counts(made: Batch) -> None:
    (whole,) = pa.table(made).to_batches()
    assert made.nbytes == pytest.approx(whole.nbytes, rel=0.05)
    halves = made.slice(0, 200).nbytes + made.slice(200, 200).nbytes
    assert made.nbytes < halves < 1.2 * made.nbytes
    assert made.take([3]).nbytes < 2_000 < made.nbytes


def test_a_sample_keeps_its_share_and_its_weight() -> None:
    made = batch(ends(20_000, "s", "a"))
    for one_in in (1, 2, 10, 100):
        some = rows(made.sample(one_in))
        assert len(some) == pytest.approx(20_000 / one_in, rel=0.15)
        assert {row["sample_weight"] for row in some} == {float(one_in)}
        assert sum(row["sample_weight"] for row in some) == pytest.approx(20_000, rel=0.15)


def test_both_ends_of_a_call_are_kept_or_left_out_together() -> None:
    served, called = (batch(ends(5_000, letter, cookie)).sample(10) for letter, cookie in (("s", "aa"), ("c", "bb")))
    places = [[row["time"] for row in rows(end)] for end in (served, called)]
    assert places[0] == places[1]


def test_what_few_keep_more_keep_too() -> None:
    made = batch(ends(3_000, "s", "a"))
    kept = [{row["exchange_id"] for row in rows(made.sample(one_in))} for one_in in (2, 5, 50)]
    assert kept[0] > kept[1] > kept[2]


def test_a_sample_of_a_sample_is_smaller() -> None:
    twice = batch(ends(20_000, "s", "a")).sample(10).sample(10)
    assert twice.num_rows == pytest.approx(200, rel=0.3)
    assert {row["sample_weight"] for row in rows(twice)} == {100.0}


def test_a_row_is_told_by_its_trace_where_sockets_are_reused() -> None:
    calls = [
        call(number, exchange_id="a-1-s-1", trace_id=f"{number:032x}", parent_id=f"{number:016x}")
        for number in range(1_000)
    ]
    assert 50 < batch(calls).sample(10).num_rows < 150


def test_rows_with_nothing_to_tell_them_by_are_sampled_all_or_none() -> None:
    made = batch([call(0, sample_weight=3.0, request_fields=pairs(("A", "1")))])
    assert [row["sample_weight"] for row in rows(made.sample(1))] == [3.0]
    with pytest.raises(ValueError, match="none"):
        made.sample(0)
