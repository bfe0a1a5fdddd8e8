"""What a reader sees of a store: the files that counted at one moment, held open whatever happens to them meanwhile."""

from __future__ import annotations

import os
import resource
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from masthead.errors import StoreError
from masthead.extension import native
from masthead.store.directory import recognize
from masthead.store.layout import HOUR_NS, Part, hour_end_ns, listing

if TYPE_CHECKING:
    from pathlib import Path

    from masthead._native import Tail

# Every Parquet file begins and ends so.
_MAGIC = b"PAR1"
_SHORTEST = 12
# A call begins before the end of the hour in which it is completed, unless the clock was set back: so far is forgiven.
SLACK_NS = HOUR_NS
# Descriptors that are left for all else.
_SPARE = 64


@dataclass(frozen=True, slots=True)
class Open:
    """A part that is held open.

    Attributes:
        part: Its name.
        path: Where its bytes are, also after it was deleted.
    """

    part: Part
    path: str


class Snapshot:
    """The parts and the journals of a store at one moment.

    Needs no lock and no writing: a part that is merged away or deleted meanwhile stays readable by its descriptor.

    Args:
        root: The store's directory.
        since_ns: Parts that hold only older rows may be left out, nanoseconds since 1970.

    Attributes:
        parts: The parts, newest first.
        tail: The rows that are in no part yet.
        problems: What could not be read and is left out, one line each.

    Raises:
        StoreError: There is no store, or not one that this version can read.
    """

    def __init__(self, root: Path, since_ns: int = 0) -> None:
        recognize(root)
        self._root = root
        self._since_ns = since_ns - SLACK_NS
        self._descriptors: list[int] = []
        self._finalizer = weakref.finalize(self, _close, self._descriptors)
        self.problems: list[str] = []
        try:
            self.parts, self.tail = self._hold()
        except OSError as error:
            what = f"can't be read: {error.strerror or error}"
            raise StoreError(what, str(root), "run this as a user who may read it") from error

    def close(self) -> None:
        """Let go of the files."""
        self._finalizer()

    def check(self) -> list[Open]:
        """Read every part and give those whose bytes are not what was written."""
        return [held for held in self.parts if native().checksum(held.path) != held.part.crc]

    def leave_out(self, damaged: list[Open]) -> None:
        """Go on without some parts, and say so."""
        for held in damaged:
            self._leave_out(held.part, "its bytes are not what was written")
        self.parts = [held for held in self.parts if held not in damaged]

    def _hold(self) -> tuple[list[Open], Tail]:
        while True:
            found = listing(self._root)
            try:
                tail = native().Tail([str(self._root / "journal" / journal.name) for journal in found.journals])
                wanted = [part for part in reversed(found.parts) if hour_end_ns(part.hour) > self._since_ns]
                _make_room(len(wanted))
                parts = [held for part in wanted if (held := self._open(part))]
            except FileNotFoundError:
                # A file went between listing and opening: the next listing says where its rows are now.
                _close(self._descriptors)
                self.problems.clear()
                continue
            return parts, tail

    def _open(self, part: Part) -> Open | None:
        descriptor = os.open(self._root / part.place, os.O_RDONLY | os.O_CLOEXEC)
        self._descriptors.append(descriptor)
        size = os.fstat(descriptor).st_size
        whole = (
            size >= _SHORTEST
            and os.pread(descriptor, len(_MAGIC), 0) == _MAGIC
            and os.pread(descriptor, len(_MAGIC), size - len(_MAGIC)) == _MAGIC
        )
        if not whole:
            self._leave_out(part, "it is cut or no Parquet file")
            return None
        return Open(part, f"/proc/self/fd/{descriptor}")

    def _leave_out(self, part: Part, why: str) -> None:
        self.problems.append(f"{self._root / part.place}: left out, {part.rows:,} rows: {why}")


def _make_room(parts: int) -> None:
    """Raise the limit of open files as far as this process may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = parts + _SPARE
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _close(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())
