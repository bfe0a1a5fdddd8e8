"""The store's own log: what was deleted, found damaged or lost, one JSON object a line."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# One older file is kept beside the current one.
MAX_BYTES = 4 << 20


class Events:
    """Appends events.

    Args:
        path: The file.
        tell: Takes a message for the user when it can't be written.
    """

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self._path = path
        self._tell = tell

    def add(self, event: str, **details: object) -> None:
        """Write one event with the time."""
        self.add_line({"time": _now(), "event": event, **details})

    def add_line(self, line: Mapping[str, object]) -> None:
        """Write a line as it is."""
        data = json.dumps({**line}, separators=(",", ":"), default=str).encode() + b"\n"
        try:
            if self._path.exists() and self._path.stat().st_size > MAX_BYTES:
                self._path.replace(self._path.with_suffix(".1.ndjson"))
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            try:
                before = os.fstat(file).st_size
                if os.write(file, data) < len(data):
                    # Half a line would spoil the next one too.
                    os.ftruncate(file, before)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(file)
        except OSError as error:
            self._tell(f"{self._path}: {error.strerror or error}: not noted there: {data.decode().rstrip()}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
