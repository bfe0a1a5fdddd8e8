"""Retention over simulated months: what goes and what stays is worked out again here, row by row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from masthead.config import Config
from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from masthead.store import keeper as keeping
from masthead.store.kinds import Kinds
from masthead.store.layout import Part, hour_end_ns, hour_of, listing
from masthead.store.retention import Policy, deletions
from masthead.store.writer import Writer
from tests.e2e.waiting import wait_for
from tests.unit.stored import BEGIN_NS, HOUR, Call, batches, call

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY = 24 * HOUR
DAYS = 120
KINDS = ("errors", "default", "static")


def part(hours: int, kind: str = "default", size: int = 100) -> Part:
    return Part(hour_of(BEGIN_NS + hours * HOUR), kind, hours, hours, rows=1, version=1, crc=0, bytes=size)


PARTS = [part(hours, kind) for hours in range(0, DAYS * 24, 6) for kind in KINDS]
NOW = BEGIN_NS + DAYS * DAY
AGES = {"errors": 90 * 86_400.0, "default": 14 * 86_400.0, "static": 86_400.0}


def left(policy: Policy, free: int = 1 << 40, other_bytes: int = 0) -> list[Part]:
    gone = {deletion.part for deletion in deletions(PARTS, policy, NOW, other_bytes, free)}
    return [part for part in PARTS if part not in gone]


def test_by_age_each_class_goes_when_the_last_of_its_rows_is_too_old() -> None:
    expected = [held for held in PARTS if NOW - hour_end_ns(held.hour) < AGES[held.kind] * 10**9]
    assert left(Policy(AGES)) == expected
    assert {held.kind for held in expected} == set(KINDS)


def test_for_ever_is_for_ever_and_an_unknown_class_is_kept_as_default() -> None:
    assert left(Policy({"default": None})) == PARTS
    assert left(Policy({"default": 86_400.0, "errors": None})) == [
        held for held in PARTS if held.kind == "errors" or NOW - hour_end_ns(held.hour) < DAY
    ]


def test_by_size_what_would_go_next_goes_first_until_it_fits() -> None:
    kept = left(Policy(AGES, max_bytes=30_000), other_bytes=5_000)
    assert sum(held.bytes for held in kept) == 25_000
    gone = [held for held in left(Policy(AGES)) if held not in kept]
    lasting = {held: hour_end_ns(held.hour) + int(AGES[held.kind] * 10**9) for held in PARTS}
    assert max(lasting[held] for held in gone) <= min(lasting[held] for held in kept)


def test_by_free_room_no_more_goes_than_is_needed() -> None:
    before = left(Policy(AGES))
    freed = len(PARTS) - len(before)
    kept = left(Policy(AGES, min_free=freed * 100 + 1_000), free=450)
    assert len(before) - len(kept) == 6


def test_each_deletion_says_why() -> None:
    reasons = [found.reason for found in deletions(PARTS, Policy(AGES, max_bytes=10_000), NOW, 0, 1 << 40)]
    assert {reason.split(":")[0] for reason in reasons} == {"age", "size"}


SETTINGS = {
    "age": {"default": "14d", "errors": "90d", "static": "1d", "min_free": ""},
    "for ever": {"default": "forever", "errors": "forever", "static": "forever", "min_free": ""},
    "own class": {"default": "7d", "errors": "30d", "static": "1d", "min_free": ""},
}


def made(day: int) -> list[Call]:
    """Four calls a day, one of each class."""
    time = BEGIN_NS + day * DAY
    rows = [("error", 500, "/a"), ("plain", 200, "/a"), ("static", 200, "/x.css"), ("audit", 200, "/admin/x")]
    return [
        call(0, time=time + number, exchange_id=f"{day}-{name}", status=status, path=path)
        for number, (name, status, path) in enumerate(rows)
    ]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_store_of_120_days_holds_exactly_what_the_settings_keep(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "SWEEP_SECONDS", 0.0)
    own = [{"name": "audit", "keep": "60d", "paths": ["/admin/*"]}] if name == "own class" else []
    config = Config.model_validate({"retention": SETTINGS[name], "class": own})
    ages = Kinds.of(config).ages
    class_of = {"error": "errors", "plain": "default", "static": "static", "audit": "audit" if own else "default"}
    clock = [BEGIN_NS]
    root = tmp_path / "store"
    writer = Writer(
        root, Kinds.of(config), sync_seconds=60, tell=_fail, clock_ns=lambda: clock[0], steady_ns=lambda: clock[0]
    )
    monkeypatch.setattr(keeping, "HURRY_SECONDS", 0.0)
    for day in range(DAYS):
        clock[0] = BEGIN_NS + day * DAY
        for batch in batches(made(day)):
            assert writer.write(batch) == 0
    clock[0] = BEGIN_NS + DAYS * DAY

    def is_kept(day: int, kind: str) -> bool:
        age = ages[class_of[kind]]
        ended = hour_end_ns(hour_of(BEGIN_NS + day * DAY))
        return age is None or clock[0] - ended < age * 10**9

    expected = {f"{day}-{kind}" for day in range(DAYS) for kind in class_of if is_kept(day, kind)}
    # The last day's journal is packed at the next turn-over; its rows are there all the same.
    wait_for(_settled(writer, root, len(expected)), "the keeper has deleted what is too old")
    writer.close()
    reader = DuckReader(root, Limits())
    assert {row[0] for row in reader.ask("SELECT exchange_id FROM exchanges").rows()} == expected
    _every_deletion_is_noted(root, 4 * DAYS - len(expected))


def _settled(writer: Writer, root: Path, rows: int) -> Callable[[], bool]:
    def settled() -> bool:
        writer.keeper.hurry()
        return not writer.keeper.backlog and sum(held.rows for held in listing(root).parts) + 4 == rows

    return settled


def _every_deletion_is_noted(root: Path, rows: int) -> None:
    path = root / "events.ndjson"
    events = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    deleted = [event for event in events if event["event"] == "deleted"]
    assert sum(event["rows"] for event in deleted) == rows
    assert all(event["reason"].startswith("age: ") for event in deleted)


def _fail(message: str) -> None:
    raise AssertionError(message)


def test_a_store_that_may_take_so_many_bytes_keeps_the_newest_that_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "SWEEP_SECONDS", 0.0)
    monkeypatch.setattr(keeping, "HURRY_SECONDS", 0.0)
    kept = {"default": "forever", "errors": "forever", "static": "forever", "min_free": "", "max_bytes": "500kB"}
    root, clock = tmp_path / "store", [BEGIN_NS]
    kinds = Kinds.of(Config.model_validate({"retention": kept}))
    writer = Writer(root, kinds, sync_seconds=60, tell=_fail, clock_ns=lambda: clock[0], steady_ns=lambda: clock[0])
    for day in range(40):
        clock[0] = BEGIN_NS + day * DAY
        for batch in batches(made(day)):
            assert writer.write(batch) == 0

    def taken() -> int:
        found = listing(root)
        journals = sum((root / "journal" / journal.name).stat().st_size for journal in found.journals)
        return journals + sum(part.bytes for part in found.parts)

    def settled() -> bool:
        writer.keeper.hurry()
        return not writer.keeper.backlog and taken() <= 500_000

    wait_for(settled, "the store takes no more than it may")
    writer.close()
    left_over = listing(root).parts
    events = [json.loads(line) for line in (root / "events.ndjson").read_text().splitlines()]
    assert all(event["reason"].startswith("size: ") for event in events)
    # The last one that went would not have fitted any more, and all that are left are newer.
    assert taken() + events[-1]["bytes"] > 500_000
    assert [part.hour for part in left_over] == sorted(part.hour for part in left_over)
    gone = {event["part"].split("/")[2] for event in events}
    assert max(gone) <= min(part.hour for part in left_over)
    assert len(left_over) + len(events) == 39 * 3
