"""Works behind the writer: packs full journals into parts, merges small parts, deletes what is too old or too much."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from masthead.errors import StoreError
from masthead.extension import native
from masthead.store.compaction import merges
from masthead.store.directory import sync_folder
from masthead.store.layout import HOUR_NS, SCHEMA_VERSION, Journal, Part, hour_of, listing
from masthead.store.retention import deletions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masthead.store.events import Events
    from masthead.store.kinds import Kinds

# Between two looks at what is to be merged and deleted; also how soon a failed journal is tried again.
SWEEP_SECONDS = 60.0
# A full disk is looked at no more often than this, however many rows are refused meanwhile.
HURRY_SECONDS = 1.0
# What could not be read is kept so long for whoever wants to look.
DAMAGED_DAYS = 14
# A clock that leaps by more than LEAP is not believed for a while: what is too old by it alone may not be.
LEAP_NS = HOUR_NS
DISBELIEF_NS = HOUR_NS


class Keeper:
    """Does everything but appending, in a thread of its own.

    Args:
        root: The store's directory, held by the caller.
        kinds: The classes of rows and how long they are kept.
        events: The store's own log.
        tell: Takes a message for the user.
        clock_ns: The time, nanoseconds since 1970.
        steady_ns: A clock that never leaps, nanoseconds.

    Attributes:
        backlog: Journals that wait to be packed.
    """

    def __init__(  # noqa: PLR0913 - each is a seam of its own, given by name
        self,
        root: Path,
        kinds: Kinds,
        events: Events,
        tell: Callable[[str], None],
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        steady_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.backlog: deque[Journal] = deque()
        self._root = root
        # Names and rules belong together, so they are changed and read as one.
        self._in_force = (kinds, native().Classes(kinds.rules_json()))
        self._events = events
        self._tell = tell
        self._clock_ns = clock_ns
        self._steady_ns = steady_ns
        self._looked = (clock_ns(), steady_ns())
        self._believe_from = steady_ns()
        self._swept = -SWEEP_SECONDS
        self._hurried = -HURRY_SECONDS
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._told: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="masthead-store", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier process left."""
        self._thread.start()

    def take(self, journal: Journal) -> None:
        """Take over a journal that nothing is appended to any more."""
        self.backlog.append(journal)
        self._wake.set()

    def hurry(self) -> None:
        """Look soon whether something can be deleted: there is no room."""
        if time.monotonic() - self._hurried >= HURRY_SECONDS:
            self._hurried = time.monotonic()
            self._wake.set()

    def set_kinds(self, kinds: Kinds) -> None:
        """Put other classes and ages in force for what is packed and deleted from now on."""
        self._in_force = (kinds, native().Classes(kinds.rules_json()))

    def close(self) -> None:
        """End after the work in hand."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._attempt("packing", self.pack_all)
            self._attempt("deleting", self._sweep)
            self._attempt("merging", self.merge)
            self._wake.wait(SWEEP_SECONDS)
            self._wake.clear()

    def _attempt(self, what: str, work: Callable[[], None]) -> None:
        """Let nothing end the thread; tell of each kind of trouble once a minute."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a defect here must not stop what keeps the disk from filling up
            now = time.monotonic()
            if now - self._told.get(what, -SWEEP_SECONDS) >= SWEEP_SECONDS:
                self._told[what] = now
                self._tell(f"store: {what} failed and is tried again: {error}")

    def pack_all(self) -> None:
        """Pack the journals that wait, oldest first; one that can't be packed does not keep the others waiting.

        Raises:
            OSError: One could not be packed, and stays.
        """
        failed: Exception | None = None
        for journal in list(self.backlog):
            if self._stopping.is_set():
                return
            try:
                self.pack(journal)
            except (OSError, StoreError, RuntimeError) as error:
                failed = failed or error
            else:
                self.backlog.remove(journal)
        if failed:
            raise failed

    def pack(self, journal: Journal) -> None:
        """Make the parts of a journal; it is gone at the very moment when they count.

        Raises:
            OSError: A file could not be written; the journal stays.
        """
        self._forget_attempts(journal)
        kinds, classes = self._in_force
        path = self._root / "journal" / journal.name
        found = json.loads(
            native().pack(str(path), str(self._root / "journal" / f"{journal.number}.tmp"), SCHEMA_VERSION, classes)
        )
        names = kinds.names
        for written in found["parts"]:
            self._publish(written, names[written["class"]], journal.hour, journal.number, journal.number)
        lost = {name: found[name] for name in ("lost_bytes", "damaged", "torn")}
        if found["damaged"]:
            path.rename(self._root / "damaged" / journal.name)
            self._events.add("journal damaged", journal=journal.name, **lost)
            self._tell(
                f"store: {found['lost_bytes']} bytes of {journal.name} belong to no whole batch and were left out; "
                f"the file is kept in {self._root / 'damaged'}"
            )
        else:
            # Half a batch at the end is what a crash leaves: nobody was promised it.
            if found["torn"]:
                self._events.add("journal torn", journal=journal.name, **lost)
            path.unlink()
        sync_folder(self._root / "journal")

    def _forget_attempts(self, journal: Journal) -> None:
        """Remove the parts of an attempt that a crash ended: under other settings they would have other names."""
        for part in listing(self._root).hidden:
            if part.first == part.last == journal.number:
                (self._root / part.place).unlink()

    def merge(self) -> None:
        """Merge what should be one part."""
        for run in merges(listing(self._root).parts, hour_of(self._clock_ns())):
            if self._stopping.is_set() or self.backlog:
                return
            self._merge(run)

    def _merge(self, parts: Sequence[Part]) -> None:
        places = [str(self._root / part.place) for part in parts]
        target = self._root / "journal" / f"{parts[0].first}.merge.tmp"
        try:
            written = json.loads(native().merge(places, str(target), SCHEMA_VERSION))
        except StoreError as error:
            self._set_aside(parts, error)
            return
        first, last = parts[0], parts[-1]
        if written["rows"] != sum(merged.rows for merged in parts):
            # Nothing is hidden that is not certainly elsewhere.
            target.unlink()
            raise StoreError("a merged part would have other rows than its parts", first.place, "please report it")
        self._publish(written, first.kind, first.hour, first.first, last.last)
        for merged in parts:
            (self._root / merged.place).unlink()

    def _publish(self, written: dict[str, Any], kind: str, hour: str, first: int, last: int) -> Part:
        part = Part(hour, kind, first, last, written["rows"], SCHEMA_VERSION, written["crc"], written["bytes"])
        place = self._root / part.place
        for folder in (place.parent.parent, place.parent):
            if not folder.exists():
                folder.mkdir(mode=0o750)
                sync_folder(folder.parent)
        made = Path(written["path"])
        made.chmod(0o640)
        made.rename(place)
        sync_folder(place.parent)
        return part

    def _set_aside(self, parts: Sequence[Part], error: StoreError) -> None:
        """Take the damaged ones out of the way, so that the rest can be merged.

        Raises:
            StoreError: None of them is damaged: the trouble is another one.
        """
        damaged = [part for part in parts if native().checksum(str(self._root / part.place)) != part.crc]
        if not damaged:
            raise error
        for part in damaged:
            (self._root / part.place).rename(self._root / "damaged" / f"{part.kind}.{part.hour}.{part.name}")
            self._events.add("part damaged", part=part.place, rows=part.rows)
            self._tell(f"store: {part.place} is damaged ({error.what}) and was moved to damaged/")

    def _sweep(self) -> None:
        # A disk that fills up does not wait for the minute.
        if time.monotonic() - self._swept >= SWEEP_SECONDS or self._crowded():
            self.delete()
            self._swept = time.monotonic()

    def delete(self) -> None:
        """Delete what the settings don't keep, and what a crash left over."""
        found = listing(self._root)
        for part in found.hidden:
            if not any(part.first <= journal.number <= part.last for journal in found.journals):
                (self._root / part.place).unlink()
        journals = sum(_size(self._root / "journal" / journal.name) for journal in found.journals)
        policy = self._in_force[0].policy(_total(self._root))
        if not self._clock_is_believed():
            policy = policy.without_ages()
        self._forget_damaged()
        for deletion in deletions(found.parts, policy, self._clock_ns(), journals, _free(self._root)):
            part = deletion.part
            # Noted first: what is gone must be known to be gone.
            self._events.add("deleted", part=part.place, rows=part.rows, bytes=part.bytes, reason=deletion.reason)
            (self._root / part.place).unlink()
            with contextlib.suppress(OSError):
                (self._root / part.place).parent.rmdir()

    def _clock_is_believed(self) -> bool:
        """Tell whether ages can be trusted: a clock that leaps ahead would make everything too old at once."""
        now, steady = self._clock_ns(), self._steady_ns()
        leap = (now - self._looked[0]) - (steady - self._looked[1])
        self._looked = now, steady
        if leap > LEAP_NS:
            self._believe_from = steady + DISBELIEF_NS
            self._events.add("clock leapt", seconds=leap / 1e9, consequence="nothing is deleted by age for an hour")
            self._tell(f"store: the clock leapt ahead by {leap / 1e9:.0f} s; nothing is deleted by age for an hour")
        return steady >= self._believe_from

    def _forget_damaged(self) -> None:
        """Remove what could not be read and nobody looked at in time."""
        oldest = time.time() - DAMAGED_DAYS * 86_400
        for path in (self._root / "damaged").iterdir():
            if path.is_file() and path.stat().st_mtime < oldest:
                self._events.add(
                    "deleted", part=f"damaged/{path.name}", reason=f"damaged: kept for {DAMAGED_DAYS} days"
                )
                path.unlink()

    def _crowded(self) -> bool:
        return _free(self._root) < self._in_force[0].policy(_total(self._root)).min_free


def _free(root: Path) -> int:
    state = os.statvfs(root)
    return state.f_bavail * state.f_frsize


def _total(root: Path) -> int:
    state = os.statvfs(root)
    return state.f_blocks * state.f_frsize


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
