"""Packing, merging and what a crash leaves of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from masthead.config import Config
from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from masthead.store import keeper as keeping
from masthead.store.kinds import Kinds
from masthead.store.layout import listing
from masthead.store.writer import Writer
from tests.e2e.waiting import wait_for
from tests.unit.stored import BEGIN_NS, HOUR, batches, fill, random_calls

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CALLS = random_calls(3_000)


def ids(root: Path) -> list[str]:
    return [row[0] for row in DuckReader(root, Limits()).ask("SELECT exchange_id FROM exchanges ORDER BY time").rows()]


def expected() -> list[str]:
    return [row["exchange_id"] for row in CALLS]


def test_when_an_hour_is_over_its_parts_are_merged_and_hold_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "SWEEP_SECONDS", 0.01)
    root, clock = tmp_path / "store", [BEGIN_NS]
    kinds = Kinds.of(Config())
    writer = Writer(root, kinds, sync_seconds=9, tell=print, clock_ns=lambda: clock[0], journal_bytes=50_000)
    for batch in batches(CALLS, rows=100):
        assert writer.write(batch) == 0
    clock[0] += 2 * HOUR
    for batch in batches(CALLS[:1]):
        writer.write(batch)
    wait_for(lambda: len(listing(root).parts) == 2 and not writer.keeper.backlog, "one part is left of each class")
    writer.close()
    assert {part.kind for part in listing(root).parts} == {"default", "errors"}
    assert ids(root) == [expected()[0], *expected()]


def test_a_journal_with_damage_is_packed_without_it_and_kept(tmp_path: Path) -> None:
    root, told = tmp_path / "store", list[str]()
    fill(root, CALLS[:2_000], parts=False)
    (journal,) = (root / "journal").iterdir()
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 255
    journal.write_bytes(content)
    writer = Writer(root, Kinds.of(Config()), sync_seconds=9, tell=told.append, clock_ns=lambda: BEGIN_NS)
    wait_for(lambda: not writer.keeper.backlog, "the journal is packed")
    writer.close()
    found = ids(root)
    assert len(found) == 1_500
    assert set(found) < set(expected())
    assert [path.name for path in (root / "damaged").iterdir()] == [journal.name]
    assert any("belong to no whole batch" in line for line in told)
    (event,) = [json.loads(line) for line in (root / "events.ndjson").read_text().splitlines()]
    assert (event["event"], event["journal"]) == ("journal damaged", journal.name)


def test_a_packing_that_was_ended_by_a_crash_is_done_again_under_todays_classes(tmp_path: Path) -> None:
    root = tmp_path / "store"
    fill(root, CALLS, parts=False)
    (journal,) = listing(root).journals
    # As if the process had died before it removed the journal, with other classes then.
    keeper = keeping.Keeper(root, Kinds(("default",), (), {"default": None}), _NoEvents(), print)  # type: ignore[arg-type]
    content = (root / "journal" / journal.name).read_bytes()
    keeper.pack(journal)
    (root / "journal" / journal.name).write_bytes(content)
    assert ids(root) == expected()
    writer = Writer(root, Kinds.of(Config()), sync_seconds=9, tell=print, clock_ns=lambda: BEGIN_NS)
    wait_for(lambda: not writer.keeper.backlog, "the journal is packed")
    writer.close()
    assert ids(root) == expected()
    assert {part.kind for part in listing(root).parts} == {"default", "errors"}


def test_trouble_is_told_and_tried_again_without_losing_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, told = tmp_path / "store", list[str]()
    fill(root, CALLS[:100], parts=False)
    monkeypatch.setattr(keeping, "SWEEP_SECONDS", 0.01)
    (root / "parts" / "default").write_text("in the way")
    writer = Writer(root, Kinds.of(Config()), sync_seconds=9, tell=told.append, clock_ns=lambda: BEGIN_NS)
    wait_for(lambda: told, "the trouble is told")
    assert ids(root) == expected()[:100]
    (root / "parts" / "default").unlink()
    wait_for(lambda: listing(root).parts, "it is tried again")
    writer.close()
    assert ids(root) == expected()[:100]


def test_half_a_batch_at_the_end_is_noted_and_costs_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "store"
    fill(root, CALLS[:1_000], parts=False)
    (journal,) = (root / "journal").iterdir()
    journal.write_bytes(journal.read_bytes()[:-100])
    writer = Writer(root, Kinds.of(Config()), sync_seconds=9, tell=print, clock_ns=lambda: BEGIN_NS)
    wait_for(lambda: not writer.keeper.backlog, "the journal is packed")
    writer.close()
    assert ids(root) == expected()[:500]
    assert list((root / "damaged").iterdir()) == []
    assert '"journal torn"' in (root / "events.ndjson").read_text()


def test_a_journal_that_cannot_be_packed_does_not_keep_others_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, told = tmp_path / "store", list[str]()
    fill(root, CALLS[:100], parts=False)
    monkeypatch.setattr(keeping, "SWEEP_SECONDS", 0.01)
    # Where the first journal's parts would be made there is something else.
    for kind in range(3):
        (root / "journal" / f"1.tmp.{kind}").mkdir()
    monkeypatch.setattr(Writer, "_recover", _recovered_but_for_leftovers)
    clock = [BEGIN_NS]
    writer = Writer(root, Kinds.of(Config()), sync_seconds=9, tell=told.append, clock_ns=lambda: clock[0])
    for row in CALLS[100:103]:
        clock[0] += HOUR
        for batch in batches([row]):
            writer.write(batch)
    wait_for(lambda: len(listing(root).parts) >= 2, "the later journals are packed")
    wait_for(lambda: [journal.number for journal in writer.keeper.backlog] == [1], "only the first one is left")
    assert any(line.startswith("store: packing failed") for line in told)
    writer.close()
    assert ids(root) == expected()[:103]


def _recovered_but_for_leftovers(writer: Writer) -> int:
    writer.keeper.backlog.extend(listing(writer._root).journals)  # noqa: SLF001 - as if the obstacle came later
    return 1


def test_a_clock_that_leaps_deletes_nothing_for_an_hour(tmp_path: Path) -> None:
    root, told, clock, steady = tmp_path / "store", list[str](), [BEGIN_NS], [0]
    fill(root, CALLS)
    keeper = keeping.Keeper(
        root,
        Kinds.of(Config.model_validate({"retention": {"min_free": ""}})),
        _NoEvents(),  # type: ignore[arg-type]
        told.append,
        clock_ns=lambda: clock[0],
        steady_ns=lambda: steady[0],
    )
    clock[0] += 400 * 24 * HOUR
    keeper.delete()
    assert ids(root) == expected()
    assert any("leapt ahead" in line for line in told)
    (journal,) = listing(root).journals
    keeper.pack(journal)
    clock[0] += HOUR
    steady[0] += HOUR
    keeper.delete()
    assert listing(root).parts == ()


def test_settings_that_change_count_for_what_is_packed_next(tmp_path: Path) -> None:
    root = tmp_path / "store"
    fill(root, CALLS, parts=False)
    (journal,) = listing(root).journals
    keeper = keeping.Keeper(root, Kinds.of(Config()), _NoEvents(), print)  # type: ignore[arg-type]
    keeper.set_kinds(Kinds(("all",), (), {"default": None}))
    keeper.pack(journal)
    assert {part.kind for part in listing(root).parts} == {"all"}
    assert ids(root) == expected()


class _NoEvents:
    def add(self, event: str, **details: object) -> None:
        """Nothing happens here that is worth noting."""
