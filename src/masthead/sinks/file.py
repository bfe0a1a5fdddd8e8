"""NDJSON in a file that is rotated by size and age; old files are compressed, and the oldest deleted."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import shutil
import stat
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from masthead.delivery import Again, Outcome, Sent
from masthead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from masthead.delivery import Load


_PIECE = 1 << 16
# Of a first row that is longer the time is not looked for.
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is closed, and how many are kept.

    Attributes:
        bytes: When it is this long; 0: never for its length.
        seconds: When it is this old; 0: never for its age.
        keep: So many closed files stay; 0: all.
        compress: Whether they are compressed (gzip).
    """

    bytes: int = 100_000_000
    seconds: float = 86_400.0
    keep: int = 14
    compress: bool = True


class FileSender:
    """Appends loads to a file, each whole or not at all.

    Closed files are called `NAME-20261124T030000Z.ndjson`, with `.gz` where they are compressed.

    Args:
        path: The file.
        rotation: When it is closed.
        headers: The form of header fields: `object` or `pairs`.
        clock: Seconds since 1970.

    Raises:
        ConfigError: It can't be opened.
    """

    def __init__(
        self, path: Path, rotation: Rotation, headers: str = "object", clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._rotation = rotation
        self._headers = headers
        self._clock = clock
        try:
            self._descriptor = _open(path)
        except OSError as error:
            what = f"can't be written to: {error.strerror or error}"
            raise ConfigError(what, str(path), "name a file that this user may write") from error
        try:
            self._mend()
        except ConfigError:
            os.close(self._descriptor)
            raise
        self._began = self._born() if self._size() else clock()
        self._finish_leftovers()

    def send(self, load: Load) -> Outcome:
        """Append a load."""
        try:
            self._follow()
            if self._due():
                self._rotate()
            return Sent(bytes=self._append(load.batch.ndjson(self._headers)))
        except OSError as error:
            return Again(f"{self._path}: {error.strerror or error}")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _mend(self) -> None:
        """Take half a row back that a kill has left: the next one would be lost in it. All else is somebody else's."""
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            raise ConfigError("is no file", str(self._path), "name a file; output.file writes to pipes too")
        with self._path.open("rb") as file:
            size = end = file.seek(0, os.SEEK_END)
            while end:
                begin = max(0, end - _PIECE)
                file.seek(begin)
                found = file.read(end - begin).rfind(b"\n")
                if found >= 0:
                    end = begin + found + 1
                    break
                end = begin
            file.seek(end)
            if file.read(1) not in {b"", b"{"}:
                raise ConfigError("ends with something that is no row", str(self._path), "name a file of its own")
        if end != size:
            os.ftruncate(self._descriptor, end)

    def _born(self) -> float:
        """A file that was there already is as old as its first row: its own times tell of its last one."""
        with self._path.open("rb") as file:
            line = file.readline(_LONGEST_LINE)
        try:
            return datetime.fromisoformat(json.loads(line)["time"]).timestamp()
        except (ValueError, KeyError, TypeError):
            return os.fstat(self._descriptor).st_mtime

    def _follow(self) -> None:
        """Go on in a new file where somebody moved or removed the one that is open."""
        own = os.fstat(self._descriptor)
        try:
            there = self._path.stat()
        except FileNotFoundError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != (own.st_dev, own.st_ino):
            fresh = _open(self._path)
            os.close(self._descriptor)
            self._descriptor, self._began = fresh, self._clock()

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def _due(self) -> bool:
        size = self._size()
        too_long = 0 < self._rotation.bytes <= size
        too_old = 0 < self._rotation.seconds <= self._clock() - self._began
        return bool(size and (too_long or too_old))

    def _append(self, lines: bytes) -> int:
        before = self._size()
        view = memoryview(lines)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            # Half a load would come twice when it is tried again.
            os.ftruncate(self._descriptor, before)
            raise
        return len(lines)

    def _rotate(self) -> None:
        closed = self._free_name()
        self._path.rename(closed)
        try:
            fresh = _open(self._path)
        except OSError:
            closed.rename(self._path)
            raise
        os.close(self._descriptor)
        self._descriptor, self._began = fresh, self._clock()
        if self._rotation.compress:
            _compress(closed)
        self._delete_oldest()

    def _free_name(self) -> Path:
        stamp = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        number = 0
        while True:
            more = f"-{number}" if number else ""
            path = self._path.with_name(f"{self._path.stem}-{stamp}{more}{self._path.suffix}")
            if not path.exists() and not path.with_name(f"{path.name}.gz").exists():
                return path
            number += 1

    def _closed(self) -> list[Path]:
        stem, suffix = re.escape(self._path.stem), re.escape(self._path.suffix)
        name = re.compile(rf"{stem}-(\d{{8}}T\d{{6}}Z)(?:-(\d+))?{suffix}(?:\.gz)?")
        found = [
            (made[1], int(made[2] or 0), path)
            for path in self._path.parent.iterdir()
            if (made := name.fullmatch(path.name))
        ]
        return [path for *_, path in sorted(found)]

    def _delete_oldest(self) -> None:
        if self._rotation.keep:
            for path in self._closed()[: -self._rotation.keep]:
                path.unlink()

    def _finish_leftovers(self) -> None:
        """Compress what an earlier process closed and did not come to."""
        if self._rotation.compress:
            for path in self._closed():
                if path.suffix != ".gz":
                    with contextlib.suppress(OSError):
                        _compress(path)


def _open(path: Path) -> int:
    # Rows may hold what is nobody else's business: no one else reads a log that we create.
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)


def _compress(path: Path) -> None:
    packed, fresh = path.with_name(f"{path.name}.gz"), path.with_name(f".{path.name}.gz.new")
    with path.open("rb") as plain, os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1) as file:
            shutil.copyfileobj(plain, file, 1 << 20)
        raw.flush()
        os.fsync(raw.fileno())
    fresh.rename(packed)
    path.unlink()
