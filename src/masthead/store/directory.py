"""The store's directory: made, recognized, and held by one writer at a time."""

from __future__ import annotations

import fcntl
import json
import os
from importlib import metadata
from typing import TYPE_CHECKING

from masthead.errors import StoreError
from masthead.store.layout import SCHEMA_VERSION

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
# What is there before the directory can be told for a store, when a crash ends its making.
_FIRST = ("lock", "format.json.new")
_FOLDERS = ("journal", "parts", "damaged")


def recognize(root: Path) -> None:
    """Make sure that a directory is a store that this version can read.

    Raises:
        StoreError: It is none, or a newer version wrote it; nothing was changed.
    """
    try:
        text = (root / "format.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        what = "no store is here" if root.exists() else "there is no such directory"
        raise StoreError(what, str(root), "masthead run --store DIR makes one; --store names another") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreError(f"can't be read: {reason}", str(root), "run this as a user who may read it") from error
    _check(root, text)


def _check(root: Path, text: str) -> None:
    place = str(root / "format.json")
    try:
        found = json.loads(text)
        form, schema = int(found["format"]), int(found["schema"])
    except (ValueError, KeyError, TypeError) as error:
        remedy = f'restore it: {{"format": {FORMAT}, "schema": {SCHEMA_VERSION}}}'
        raise StoreError("not the file that masthead writes", place, remedy) from error
    if form > FORMAT or schema > SCHEMA_VERSION:
        what = (
            f"written by a newer masthead (format {form}, columns {schema}; this one knows {FORMAT}, {SCHEMA_VERSION})"
        )
        raise StoreError(what, str(root), "use that version or a later one; nothing was changed here")


class Directory:
    """A store's directory, held by this process as its only writer.

    Args:
        root: The directory; made, with its parents, where it is missing.

    Raises:
        StoreError: Another process writes to it, it is of a newer version, or it can't be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            if (root / "format.json").exists():
                recognize(root)
            elif root.is_dir() and any(entry.name not in _FIRST for entry in root.iterdir()):
                raise StoreError("not empty, and no store", str(root), "name an empty or a new directory")
            root.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._lock = self._hold()
            self._write_format()
            for folder in _FOLDERS:
                (root / folder).mkdir(mode=0o750, exist_ok=True)
        except OSError as error:
            what = f"can't be written to: {error.strerror or error}"
            raise StoreError(what, str(root), "name a directory that this user may write (store.path)") from error

    def close(self) -> None:
        """Let others write."""
        os.close(self._lock)

    def _hold(self) -> int:
        lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 20).decode(errors="replace").strip()
            os.close(lock)
            what = f"another masthead writes to this store (process {owner or 'unknown'})"
            raise StoreError(what, str(self.root), "stop that one, or name another directory (store.path)") from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock

    def _write_format(self) -> None:
        wanted = {"format": FORMAT, "schema": SCHEMA_VERSION, "masthead": _version()}
        path = self.root / "format.json"
        text = json.dumps(wanted) + "\n"
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return
        fresh = self.root / "format.json.new"
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
        sync_folder(self.root)


def sync_folder(path: Path) -> None:
    """Make durable which names a directory holds."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _version() -> str:
    try:
        return metadata.version("masthead")
    except metadata.PackageNotFoundError:
        return "unknown"
