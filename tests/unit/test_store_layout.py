"""Names of the store's files, and the two rules by which they count, at every moment of packing and merging."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from masthead.store.layout import Journal, Part, hour_end_ns, hour_of, is_hour, listing, visible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = "20260801T00"


def part(first: int, last: int, kind: str = "default", hour: str = HOUR) -> Part:
    return Part(hour, kind, first, last, rows=10, version=1, crc=0xABCDEF01, bytes=5)


def test_names_are_read_back() -> None:
    made = part(3, 12, "errors")
    assert Part.parse("errors", HOUR, made.name, 5) == made
    assert made.place == f"parts/errors/{HOUR}/000000000003-000000000012.10.v1.abcdef01.parquet"
    journal = Journal(7, HOUR)
    assert Journal.parse(journal.name) == journal


@pytest.mark.parametrize("name", ["x", "1-2.3.v1.abcdef01.parquet", f"{part(1, 2).name}.tmp", "000000000001.journal"])
def test_other_names_are_nobodys(name: str) -> None:
    assert Part.parse("default", HOUR, name) is None
    assert Journal.parse(name) is None


def test_hours_are_utc_and_end_where_the_next_begins() -> None:
    assert hour_of(1_785_542_400 * 10**9) == HOUR
    assert hour_of(hour_end_ns(HOUR) - 1) == HOUR
    assert hour_of(hour_end_ns(HOUR)) == "20260801T01"
    assert is_hour(HOUR)
    assert not is_hour("20260801T24")


def test_a_journal_hides_the_parts_that_are_made_from_it() -> None:
    found = visible([Journal(2, HOUR)], [part(1, 1), part(2, 2), part(2, 2, "errors")])
    assert found.parts == (part(1, 1),)
    assert len(found.hidden) == 2


def test_a_part_hides_what_it_was_merged_from_and_nothing_else() -> None:
    others = [part(1, 8, "errors"), part(1, 1, hour="20260801T01"), part(9, 9)]
    found = visible([], [part(1, 8), *(part(number, number) for number in range(1, 9)), *others])
    assert sorted(found.parts) == sorted([part(1, 8), *others])


class Disk:
    """Journals and parts by name, with the rows (numbers of journals and classes) that each holds."""

    def __init__(self) -> None:
        self.journals: set[Journal] = set()
        self.parts: set[Part] = set()
        self.written: Counter[tuple[int, str]] = Counter()

    def rows(self) -> Counter[tuple[int, str]]:
        """Rows that a reader sees: each journal holds one of either class, each part those of its journals."""
        found = visible(self.journals, self.parts)
        seen: Counter[tuple[int, str]] = Counter()
        for journal in found.journals:
            seen.update([(journal.number, "default"), (journal.number, "errors")])
        for held in found.parts:
            seen.update((number, held.kind) for number in range(held.first, held.last + 1))
        return seen

    def steps(self, draw: random.Random) -> Iterator[None]:
        """Work as the writer and the keeper do, and stop after every single change."""
        number = 0
        while True:
            number += 1
            self.journals.add(Journal(number, HOUR))
            self.written.update([(number, "default"), (number, "errors")])
            yield
            if draw.random() < 0.7:
                for journal in sorted(self.journals)[:-1]:
                    for kind in draw.sample(["default", "errors"], 2):
                        self.parts.add(part(journal.number, journal.number, kind))
                        yield
                    self.journals.remove(journal)
                    yield
            if draw.random() < 0.5:
                yield from self._merge(draw)

    def _merge(self, draw: random.Random) -> Iterator[None]:
        kind = draw.choice(["default", "errors"])
        run = [held for held in visible(self.journals, self.parts).parts if held.kind == kind]
        run = run[: draw.randrange(2, 6)]
        if len(run) < 2:
            return
        self.parts.add(part(run[0].first, run[-1].last, kind))
        yield
        for held in draw.sample(run, len(run)):
            self.parts.remove(held)
            yield


@pytest.mark.parametrize("seed", range(20))
def test_at_every_moment_each_row_is_seen_once(seed: int) -> None:
    disk = Disk()
    for turn, _ in enumerate(disk.steps(random.Random(seed))):
        assert disk.rows() == disk.written
        if turn > 300:
            return


def test_a_listing_is_what_the_directory_holds(tmp_path: Path) -> None:
    for name in ("journal/x.tmp", f"journal/{Journal(9, HOUR).name}", part(1, 1).place, f"parts/default/{HOUR}/notes"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    found = listing(tmp_path)
    assert (found.journals, found.parts, found.hidden) == ((Journal(9, HOUR),), (part(1, 1),), ())


def test_a_directory_without_files_is_empty(tmp_path: Path) -> None:
    assert listing(tmp_path / "missing").parts == ()
