"""Appends batches to the journal: the store as a sink."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING, cast

from masthead.errors import StoreError
from masthead.extension import native
from masthead.store.directory import Directory, sync_folder
from masthead.store.events import Events
from masthead.store.keeper import Keeper
from masthead.store.layout import Journal, hour_of, listing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from masthead._native import Batch as Rows
    from masthead._native import Journal as Appended
    from masthead.batch import Batch
    from masthead.store.kinds import Kinds

# A journal is packed when it is this long: some tens of thousands of rows, which are sorted in memory and which every
# query reads through.
JOURNAL_BYTES = 16 << 20
REPORT_EVERY = 60.0


class Writer:
    """Appends batches to a store's journal.

    Args:
        root: The store's directory; made where it is missing.
        kinds: The classes of rows and how long they are kept.
        sync_seconds: At most this old are rows that a power cut takes.
        tell: Takes a message for the user.
        clock_ns: The time, nanoseconds since 1970.
        steady_ns: A clock that never leaps, nanoseconds.
        journal_bytes: How long a journal becomes.

    Attributes:
        gone: Never; a store has no reader that could leave.
        failed: Rows that could not be written.

    Raises:
        StoreError: The directory can't be used.
    """

    gone = False

    def __init__(  # noqa: PLR0913 - each is a seam of its own, given by name
        self,
        root: Path,
        kinds: Kinds,
        *,
        sync_seconds: float,
        tell: Callable[[str], None],
        clock_ns: Callable[[], int] = time.time_ns,
        steady_ns: Callable[[], int] = time.monotonic_ns,
        journal_bytes: int = JOURNAL_BYTES,
    ) -> None:
        self.failed = 0
        self._root = root
        self._tell = tell
        self._clock_ns = clock_ns
        self._journal_bytes = journal_bytes
        self._directory = Directory(root)
        self.events = Events(root / "events.ndjson", tell)
        self.keeper = Keeper(root, kinds, self.events, tell, clock_ns=clock_ns, steady_ns=steady_ns)
        self._lock = threading.Lock()
        try:
            self._number = self._recover()
            self._name, self._journal = self._begin()
        except OSError as error:
            self._directory.close()
            what = f"no journal can be begun: {error.strerror or error}"
            raise StoreError(what, str(root), "make room, or name another directory (store.path)") from error
        self._unsynced: list[Appended] = []
        self._told_at, self._told, self._told_rows = -REPORT_EVERY, 0, False
        self._stop = threading.Event()
        self._syncing = threading.Thread(
            target=self._sync_often, args=(sync_seconds,), name="masthead-sync", daemon=True
        )
        self._syncing.start()
        self.keeper.start()

    def write(self, batch: Batch) -> int:
        """Append a batch; gives the rows that could not be written."""
        with self._lock:
            self._turn_over()
            try:
                # The sources give the extension's batches; the seam names only what the pipeline uses of them.
                self._journal.append(cast("Rows", batch))
            except (OSError, RuntimeError) as error:
                return self._fail(batch.num_rows, error)
            if self._journal not in self._unsynced:
                self._unsynced.append(self._journal)
        return 0

    def note(self, event: Mapping[str, object]) -> None:
        """Write a line about masthead itself into the store's own log."""
        self.events.add_line(event)

    def close(self) -> None:
        """Make everything durable and let go; the next start packs the journal."""
        self._stop.set()
        self._syncing.join()
        self.keeper.close()
        self._sync()
        self._directory.close()

    def _recover(self) -> int:
        """Hand over what an earlier process left; gives the highest number in use."""
        for leftover in (self._root / "journal").glob("*.tmp*"):
            leftover.unlink()
        found = listing(self._root)
        for journal in found.journals:
            self.keeper.backlog.append(journal)
        used = [journal.number for journal in found.journals] + [part.last for part in (*found.parts, *found.hidden)]
        return max(used, default=0)

    def _begin(self) -> tuple[Journal, Appended]:
        # A number is never used twice, also when something fails on the way.
        self._number += 1
        name = Journal(self._number, hour_of(self._clock_ns()))
        path = self._root / "journal" / name.name
        journal = native().Journal(str(path), secrets.randbits(64))
        try:
            sync_folder(path.parent)
        except OSError:
            # An empty journal that nobody knows of would hide what is merged across its number.
            path.unlink()
            raise
        return name, journal

    def _turn_over(self) -> None:
        """Begin a new journal where the current one is full or of another hour."""
        full = self._journal.bytes >= self._journal_bytes or self._journal.spoiled
        if not full and self._name.hour == hour_of(self._clock_ns()):
            return
        old = self._name
        try:
            self._name, self._journal = self._begin()
        except OSError as error:
            # The old one still takes rows, if the disk does.
            self._report(error)
            return
        self.keeper.take(old)

    def _sync_often(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            self._sync()
            with self._lock:
                if self._journal.rows:
                    self._turn_over()

    def _sync(self) -> None:
        with self._lock:
            journals, self._unsynced = self._unsynced, []
        for journal in journals:
            try:
                journal.sync()
            except OSError as error:
                self._report(error)
                with self._lock:
                    self._unsynced.append(journal)

    def _fail(self, rows: int, error: OSError | RuntimeError) -> int:
        self.failed += rows
        self.keeper.hurry()
        self._report(error)
        return rows

    def _report(self, error: OSError | RuntimeError) -> None:
        now, rows = time.monotonic(), self.failed - self._told
        # That rows are refused is told at once, whatever else was told before.
        if now - self._told_at < REPORT_EVERY and (not rows or self._told_rows):
            return
        self._told, self._told_at, self._told_rows = self.failed, now, bool(rows)
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        lost = f"{rows:,} rows not kept, counted as failed_at_sink" if rows else "rows may not survive a power cut yet"
        self._tell(f"store: {reason}: {lost}; going on")
