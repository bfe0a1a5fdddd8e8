"""What outlives a restart: files of JSON, each replaced as a whole and made durable. A kill leaves one or the other.

states.json     alerts and who was told of them: written whenever something changes
learned.json    ranges, baselines, values of fields: every five minutes and at the end
silences.json   made by `masthead alerts silence`, read by the service
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from masthead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from masthead.alerts.evaluation import Evaluation
    from masthead.alerts.notify.desk import Desk

VERSION = 1


class Memory:
    """The files of a directory.

    Args:
        root: The directory; made where it is missing.
        tell: Takes a message for the user.

    Raises:
        ConfigError: The directory can't be made.
    """

    def __init__(self, root: Path, tell: Callable[[str], None]) -> None:
        self.root = root
        self._tell = tell
        try:
            root.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            what = f"no place for the states of alerts: {error.strerror or error}"
            raise ConfigError(what, str(root), "set alerts.state") from error

    def restore(self, evaluation: Evaluation, desk: Desk) -> None:
        """Give back what was kept; what can't be read is told of and left out."""
        states = read(self.root / "states.json", self._tell)
        if states:
            evaluation.restore(states)
            desk.restore(states["told"])
        learned = read(self.root / "learned.json", self._tell)
        if learned:
            evaluation.relearn(learned)

    def keep(self, evaluation: Evaluation, desk: Desk) -> None:
        """Write everything."""
        self._write("learned.json", evaluation.learned())
        self.keep_states(evaluation, desk)

    def keep_states(self, evaluation: Evaluation, desk: Desk) -> None:
        """Write the states of alerts and who was told of them."""
        self._write("states.json", {**evaluation.state(), "told": desk.state()})

    def _write(self, name: str, data: dict[str, Any]) -> None:
        try:
            write(self.root / name, data)
        except OSError as error:
            self._tell(f"alerts: {self.root / name}: {error.strerror or error}; a restart would forget what changed")


def read(path: Path, tell: Callable[[str], None]) -> dict[str, Any] | None:
    """Read a file; `None` where there is none, or none of this version."""
    try:
        data: dict[str, Any] = dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        tell(f"alerts: {path}: can't be read ({error}); beginning anew")
        return None
    if data.get("version") != VERSION:
        tell(f"alerts: {path}: not of this version; beginning anew")
        return None
    return data


def write(path: Path, data: dict[str, Any]) -> None:
    """Replace a file as a whole, durably.

    Raises:
        OSError: It can't be written; the old one is as it was.
    """
    fresh = path.with_suffix(".new")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            # In one piece, by the library's fast half: `json.dump` would take ten times as long.
            file.write(json.dumps({"version": VERSION, **data}, separators=(",", ":")))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
