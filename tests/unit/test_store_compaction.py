from __future__ import annotations

from masthead.store.compaction import FAN_IN, FULL_BYTES, SMALLEST, merges
from masthead.store.layout import Part

OLD, NOW = "20260801T00", "20260801T01"


def part(number: int, size: int = 1000, hour: str = NOW, kind: str = "default") -> Part:
    return Part(hour, kind, number, number, rows=1, version=1, crc=0, bytes=size)


def test_while_an_hour_lasts_neighbours_of_one_size_are_merged_eight_at_a_time() -> None:
    parts = [part(number) for number in range(2 * FAN_IN + 3)]
    assert [len(run) for run in merges(parts, NOW)] == [FAN_IN, FAN_IN]
    assert list(merges(parts[: FAN_IN - 1], NOW)) == []


def test_larger_parts_wait_for_their_like() -> None:
    parts = [part(0, 20 * SMALLEST), *(part(number) for number in range(1, FAN_IN))]
    assert list(merges(parts, NOW)) == []


def test_when_an_hour_is_over_all_its_parts_become_one() -> None:
    parts = [part(0, 20 * SMALLEST, OLD), part(1, 10, OLD), part(2, 10, OLD)]
    assert list(merges(parts, NOW)) == [tuple(parts)]
    assert list(merges(parts[:1], NOW)) == []


def test_full_parts_are_left_alone_and_none_becomes_larger_than_full() -> None:
    parts = [part(number, FULL_BYTES // 2 + 1, OLD) for number in range(4)]
    assert list(merges(parts, NOW)) == []
    mixed = [part(0, FULL_BYTES, OLD), part(1, 5, OLD), part(2, 5, OLD)]
    assert list(merges(mixed, NOW)) == [tuple(mixed[1:])]
    assert list(merges([part(number, FULL_BYTES) for number in range(FAN_IN)], NOW)) == []


def test_classes_and_hours_stay_apart() -> None:
    parts = [part(0, hour=OLD), part(1, hour=OLD, kind="errors"), part(2, hour="20260731T23")]
    assert list(merges(parts, NOW)) == []
