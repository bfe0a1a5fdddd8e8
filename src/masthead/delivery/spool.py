"""Rows of one sink that wait on the disk, oldest first, in files of the store's journal form.

A file's name tells its place in the order, a token and how many rows it has: `00000000004294967296.5f1c….812.rows`;
while it is written to, the rows are not known yet (`open`). Files are read only after they are closed, and `progress`
names the frames of the first one that are done, so that the same rows make the same loads, with the same tokens, also
after a restart. A file of one load that failed keeps that load's token (`….load`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import threading
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from masthead.delivery.outcome import Load
from masthead.errors import StoreError
from masthead.extension import native

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from masthead._native import Batch, Journal

# A file is closed when it is this long: what is delivered leaves the disk in pieces of this size.
FILE_BYTES = 16 << 20
_FIRST = 1 << 32
_NAME = re.compile(r"(\d{20})\.([0-9a-f]+(?:-[0-9h-]+)?)\.(\d+|open)\.(rows|load)")


@dataclass(frozen=True, slots=True, order=True)
class _File:
    number: int
    token: str
    rows: int
    whole: bool
    unfinished: bool = False

    @property
    def name(self) -> str:
        rows = "open" if self.unfinished else self.rows
        return f"{self.number:020}.{self.token}.{rows}.{'load' if self.whole else 'rows'}"


class Spool:
    """The waiting rows of one sink. One thread reads (`next`, `done`, `put_back`), others may append.

    Args:
        folder: Where; made where it is missing, for this user alone.
        max_bytes: It takes no more than this.

    Attributes:
        rows: How many wait.
        bytes: How much they take on the disk.
        recovered: Rows that an earlier process left.
        damaged: Rows that could not be read back.

    Raises:
        StoreError: The folder can't be used.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self.bytes = self.rows = self.damaged = 0
        self._lock = threading.RLock()
        self._journal: Journal | None = None
        # Closed, and not yet durable.
        self._written: list[Journal] = []
        self._appended = False
        self._open_name = ""
        self._closed: list[_File] = []
        self._reading: _Reading | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_file = _hold(folder)
            self._recover()
        except OSError as error:
            what = f"no spool: {error.strerror or error}"
            remedy = 'name another directory (delivery.spool), or "" to do without'
            raise StoreError(what, str(folder), remedy) from error
        self.recovered = self.rows
        self._last = self._closed[-1].number if self._closed else _FIRST

    @property
    def dirty(self) -> bool:
        """Whether something would not survive a power cut: `sync` is due."""
        return self._appended or bool(self._written)

    def append(self, batch: Batch) -> bool:
        """Keep rows behind all others; tells whether there was room."""
        with self._lock:
            if self.bytes >= self._max_bytes:
                return False
            try:
                journal = self._journal or self._begin()
                before = journal.bytes
                journal.append(batch)
            except (OSError, RuntimeError):
                if self._journal is not None and self._journal.spoiled:
                    # Nothing may follow half a frame: the next rows begin another file.
                    self._finish()
                return False
            self._appended = True
            self.rows += batch.num_rows
            self.bytes += journal.bytes - before
            if journal.bytes >= FILE_BYTES:
                self._finish()
        return True

    def put_back(self, loads: Sequence[Load]) -> list[Load]:
        """Keep loads in front of all others, each whole with its token; gives those for which there was no room."""
        with self._lock:
            front = (self._closed[0].number if self._closed else self._last) - len(loads)
        files = [_File(front + place, load.token, load.batch.num_rows, whole=True) for place, load in enumerate(loads)]
        # Only the thread that reads comes here, so nothing else takes these numbers; others may append meanwhile.
        missed = [load for file, load in zip(files, loads, strict=True) if not self._write(file, load)]
        self._reading = None
        return missed

    def replace(self, load: Load, loads: Sequence[Load]) -> list[Load]:
        """Put loads in the place of the one that `next` gave last; gives those for which there was no room.

        They are there before it is forgotten: a kill in between doubles rows, and loses none.
        """
        reading = self._reading
        missed = self.put_back(loads)
        self._reading = reading
        self.done(load)
        self._reading = None
        return missed

    def next(self, max_rows: int, max_bytes: int) -> Load | None:
        """Give the oldest rows as a load; `done` is to follow, or the same is given again."""
        while self.rows > 0:
            reading = self._reading or self._open()
            if reading is None:
                break
            load = reading.next(max_rows, max_bytes)
            if load is not None:
                return load
            self._remove(reading)
        return None

    def done(self, load: Load) -> None:
        """Forget the load that `next` gave last."""
        with self._lock:
            self.rows -= load.batch.num_rows
        reading = self._reading
        if reading is None:
            return
        reading.advance()
        if reading.ended:
            self._remove(reading)
        else:
            progress = self._folder / "progress"
            fresh = progress.with_suffix(".new")
            # A disk that does not take this doubles rows at the next start, and loses none.
            with contextlib.suppress(OSError):
                fresh.write_text(json.dumps({"file": reading.file.name, "frames": reading.frames}))
                fresh.replace(progress)

    def sync(self) -> None:
        """Make durable what was appended; meanwhile others may append."""
        with self._lock:
            written, self._written = [*self._written, *([self._journal] if self._journal else [])], []
            self._appended = False
        failed: OSError | None = None
        for journal in written:
            try:
                journal.sync()
            except OSError as error:
                failed = error
                with self._lock:
                    self._written.append(journal)
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Close the file that is written to, and let go of the folder."""
        try:
            self.sync()
        finally:
            with self._lock:
                self._finish()
            os.close(self._lock_file)

    def _open(self) -> _Reading | None:
        """Begin to read the first file; the one that is written to is closed for it where there is no other."""
        while True:
            with self._lock:
                if not self._closed:
                    self._finish()
                if not self._closed:
                    return None
                first = self._closed[0]
            try:
                self._reading = _Reading(self._folder, first, self._progress(first))
            except FileNotFoundError:
                # Somebody took it away: its rows can't be read back.
                with self._lock:
                    self._closed.remove(first)
                    self.rows, self.damaged = max(0, self.rows - first.rows), self.damaged + first.rows
            else:
                return self._reading

    def _begin(self) -> Journal:
        self._last += 1
        token = f"{secrets.randbits(64):016x}"
        self._open_name = f"{self._last:020}.{token}.open.rows"
        journal: Journal = native().Journal(str(self._folder / self._open_name), int(token, 16))
        self._journal = journal
        return journal

    def _finish(self) -> None:
        journal, self._journal = self._journal, None
        if journal is None:
            return
        number, token, *_ = self._open_name.split(".")
        file = _File(int(number), token, journal.rows, whole=False)
        # Whoever appends does not wait for the disk: `sync` comes later.
        self._written.append(journal)
        try:
            (self._folder / self._open_name).rename(self._folder / file.name)
        except OSError:
            # It keeps the name that it has, and is read all the same.
            file = replace(file, unfinished=True)
        self._closed.append(file)

    def _write(self, file: _File, load: Load) -> bool:
        path = self._folder / file.name
        try:
            journal = native().Journal(str(path), secrets.randbits(64))
            journal.append(load.batch)
            journal.sync()
        except (OSError, RuntimeError):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return False
        with self._lock:
            self._closed.append(file)
            self._closed.sort()
            self.rows += file.rows
            self.bytes += journal.bytes
        return True

    def _recover(self) -> None:
        for path in sorted(self._folder.iterdir()):
            found = _NAME.fullmatch(path.name)
            if found is None:
                continue
            rows = _count(path) if found[3] == "open" else int(found[3])
            file = _File(int(found[1]), found[2], rows, whole=found[4] == "load")
            self.bytes += path.stat().st_size
            if path.name != file.name:
                path.rename(self._folder / file.name)
            self._closed.append(file)
            self.rows += rows
        self._closed.sort()
        # Loads that were put back stand before the file that was being read.
        for file in self._closed:
            done = self._progress(file)
            self.rows -= sum(batch.num_rows for batch in islice(_frames(self._folder, file), done))

    def _progress(self, file: _File) -> int:
        try:
            told = json.loads((self._folder / "progress").read_text())
        except (OSError, ValueError):
            return 0
        mine = isinstance(told, dict) and told.get("file") == file.name
        return int(told.get("frames", 0)) if mine else 0

    def _remove(self, reading: _Reading) -> None:
        """Let go of a file that is done; rows of it that could not be read are lost, and counted."""
        path, size = self._folder / reading.file.name, 0
        # Not under the lock: to delete a file takes as long as it is large.
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            path.unlink()
        with self._lock:
            self.damaged += reading.missing
            self.rows -= reading.missing
            self.bytes -= size
            self._closed.remove(reading.file)
            self._reading = None


class _Reading:
    """The first file, while it is delivered."""

    def __init__(self, folder: Path, file: _File, frames: int) -> None:
        self.file = file
        self.frames = 0
        self.ended = False
        self._frames = _frames(folder, file)
        self._seen = 0
        self._given: Load | None = None
        self._next_frames = 0
        self._ahead: Batch | None = None
        for _ in range(frames):
            self._skip()

    @property
    def missing(self) -> int:
        """Rows that the name promises and the file does not give."""
        return max(0, self.file.rows - self._seen)

    def next(self, max_rows: int, max_bytes: int) -> Load | None:
        if self._given is not None:
            return self._given
        some: list[Batch] = []
        rows = size = 0
        while (batch := self._peek()) is not None:
            if some and not self.file.whole and (rows + batch.num_rows > max_rows or size + batch.nbytes > max_bytes):
                break
            some.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            self._ahead = None
        if not some:
            return None
        self._seen += rows
        self._next_frames = self.frames + len(some)
        self.ended = self._peek() is None
        token = self.file.token if self.file.whole else f"{self.file.token}-{self.frames}-{self._next_frames}"
        self._given = Load(native().concat(some) if len(some) > 1 else some[0], token)
        return self._given

    def advance(self) -> None:
        self.frames, self._given = self._next_frames, None

    def _peek(self) -> Batch | None:
        if self._ahead is None:
            self._ahead = next(self._frames, None)
        return self._ahead

    def _skip(self) -> None:
        batch = self._peek()
        if batch is not None:
            self._seen += batch.num_rows
            self.frames += 1
            self._ahead = None


def _frames(folder: Path, file: _File) -> Iterator[Batch]:
    path = os.fspath(folder / file.name)
    return iter(native().Conformed(native().Tail([path])))


def _hold(folder: Path) -> int:
    """Keep other processes out, until the descriptor is closed or this process ends."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        remedy = "end it, or give this one another name or another delivery.spool"
        raise StoreError("another masthead sends from this spool", str(folder), remedy) from error
    return descriptor


def _count(path: Path) -> int:
    return sum(batch.num_rows for batch in native().Conformed(native().Tail([str(path)])))
