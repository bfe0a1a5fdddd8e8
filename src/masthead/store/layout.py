"""Names of the store's files, and which of them count."""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Version of the row's columns, written into every part's name: a reader need not open a part to know its columns.
# 1: the columns of the first store. 2: HTTP/2, gRPC and TLS; fields whose name or value is null.
SCHEMA_VERSION = 2

HOUR_NS = 3_600_000_000_000
_HOUR = "%Y%m%dT%H"
_JOURNAL = re.compile(r"(\d{12})\.(\d{8}T\d{2})\.journal")
_PART = re.compile(r"(\d{12})-(\d{12})\.(\d+)\.v(\d+)\.([0-9a-f]{8})\.parquet")
CLASS_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True, order=True)
class Journal:
    """A journal by its name.

    Attributes:
        number: Its place in the order of all journals.
        hour: The hour, UTC, in which its rows were completed, such as `20261124T03`.
    """

    number: int
    hour: str

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Read a file name; `None` where it is no journal's."""
        found = _JOURNAL.fullmatch(name)
        return cls(int(found[1]), found[2]) if found else None

    @property
    def name(self) -> str:
        """Its file name."""
        return f"{self.number:012}.{self.hour}.journal"


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A part by its path.

    Attributes:
        hour: The hour, UTC, in which its rows were completed.
        kind: Its class of retention.
        first: Number of the first journal whose rows it holds.
        last: Number of the last one.
        rows: How many rows it holds.
        version: Version of its columns.
        crc: CRC-32 of the file.
        bytes: Its size.
    """

    hour: str
    kind: str
    first: int
    last: int
    rows: int
    version: int
    crc: int
    bytes: int = 0

    @classmethod
    def parse(cls, kind: str, hour: str, name: str, size: int = 0) -> Self | None:
        """Read a file name; `None` where it is no part's."""
        found = _PART.fullmatch(name)
        if not found or not is_hour(hour):
            return None
        first, last, rows, version = (int(found[group]) for group in range(1, 5))
        return cls(hour, kind, first, last, rows, version, int(found[5], 16), size)

    @property
    def name(self) -> str:
        """Its file name."""
        return f"{self.first:012}-{self.last:012}.{self.rows}.v{self.version}.{self.crc:08x}.parquet"

    @property
    def place(self) -> str:
        """Its path within the store."""
        return f"parts/{self.kind}/{self.hour}/{self.name}"

    def holds(self, other: Part) -> bool:
        """Whether it was merged from the other."""
        return (
            (self.kind, self.hour) == (other.kind, other.hour)
            and self.first <= other.first
            and other.last <= self.last
            and (self.first, self.last) != (other.first, other.last)
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a store that count, in order."""

    journals: tuple[Journal, ...]
    parts: tuple[Part, ...]
    hidden: tuple[Part, ...] = ()


def hour_of(time_ns: int) -> str:
    """Give the hour of a time (nanoseconds since 1970, UTC)."""
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime(_HOUR)


@functools.cache
def hour_end_ns(hour: str) -> int:
    """Give the first nanosecond after an hour."""
    begin = datetime.strptime(hour, _HOUR).replace(tzinfo=UTC)
    return int((begin + timedelta(hours=1)).timestamp()) * 1_000_000_000


@functools.cache
def is_hour(text: str) -> bool:
    """Whether a text is an hour as `hour_of` gives it."""
    try:
        datetime.strptime(text, _HOUR).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def listing(root: Path) -> Listing:
    """List a store.

    Journals first: one that is packed meanwhile is then in the listing itself or in its parts, never in neither. And
    twice, until nothing has changed: a directory that is read while files come and go may show half of a merge.

    Raises:
        OSError: The directory can't be read.
    """
    seen = (_journals(root), _parts(root))
    while True:
        again = (_journals(root), _parts(root))
        if again == seen:
            return visible(*seen)
        seen = again


def visible(journals: Iterable[Journal], parts: Iterable[Part]) -> Listing:
    """Leave out what other files hide (the two rules of `masthead.store`)."""
    journals, parts = sorted(journals), sorted(parts)
    numbers = [journal.number for journal in journals]
    kept: list[Part] = []
    hidden: list[Part] = []
    # Sorted with the widest first, a part is hidden by the latest one that was kept or by none.
    for part in sorted(parts, key=lambda part: (part.hour, part.kind, part.first, -part.last)):
        live = any(part.first <= number <= part.last for number in numbers)
        covered = bool(kept) and kept[-1].holds(part)
        (hidden if live or covered else kept).append(part)
    return Listing(tuple(journals), tuple(sorted(kept)), tuple(hidden))


def _journals(root: Path) -> list[Journal]:
    found = (Journal.parse(entry.name) for entry in _scan(root / "journal"))
    return sorted(journal for journal in found if journal)


def _parts(root: Path) -> list[Part]:
    found = []
    for kind in _scan(root / "parts"):
        for hour in _scan(kind.path):
            for file in _scan(hour.path):
                part = _part(kind.name, hour.name, file)
                if part:
                    found.append(part)
    return sorted(found)


def _part(kind: str, hour: str, file: os.DirEntry[str]) -> Part | None:
    try:
        return Part.parse(kind, hour, file.name, file.stat().st_size)
    except FileNotFoundError:
        return None


def _scan(path: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
