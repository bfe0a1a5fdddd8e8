"""Alerts that nobody is told of for a while: from the settings, and from a file that the command line writes."""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from masthead.alerts.memory import read, write
from masthead.config.alerts import MATCHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from masthead.alerts.states import Texts
    from masthead.config.alerts import Alerts


@dataclass(frozen=True, slots=True)
class Silence:
    """Matchers, all of which an alert has to meet, and the time until which they hold.

    Attributes:
        name: What it is ended by; `settings` for those that stand there.
        match: The matchers as text.
        until_ns: Its end, nanoseconds since 1970.
        comment: Why.
    """

    name: str
    match: tuple[str, ...]
    until_ns: int
    comment: str = ""

    def covers(self, labels: Texts, now_ns: int) -> bool:
        """Tell whether an alert is silenced."""
        return now_ns < self.until_ns and matches(self.match, labels)


class Silences:
    """The silences in force; the file is read again when it has changed.

    Args:
        path: The file.
        settings: Those of the settings.
        tell: Takes a message for the user.
    """

    def __init__(self, path: Path, settings: Sequence[Silence], tell: Callable[[str], None]) -> None:
        self._path = path
        self._settings = tuple(settings)
        self._tell = tell
        self._stamp: tuple[int, int] | None = None
        self._added: tuple[Silence, ...] = ()

    def cover(self, labels: Texts, now_ns: int) -> bool:
        """Tell whether an alert is silenced."""
        return any(silence.covers(labels, now_ns) for silence in self.all())

    def all(self) -> tuple[Silence, ...]:
        """Give every silence, those that are over too."""
        try:
            found = self._path.stat()
        except OSError:
            self._stamp, self._added = None, ()
            return self._settings
        # Files are replaced as a whole: another one has another inode.
        stamp = (found.st_ino, found.st_mtime_ns)
        if stamp != self._stamp:
            self._stamp, self._added = stamp, tuple(_read(self._path, self._tell))
        return (*self._settings, *self._added)

    def add(self, match: Sequence[str], until_ns: int, comment: str, now_ns: int) -> Silence:
        """Add one to the file; those that were over for a day go.

        Raises:
            OSError: It can't be written.
        """
        silence = Silence(secrets.token_hex(4), tuple(match), until_ns, comment)
        kept = [old for old in _read(self._path, self._tell) if old.until_ns > now_ns - 86_400_000_000_000]
        self._write([*kept, silence])
        return silence

    def expire(self, name: str, now_ns: int) -> bool:
        """End one of the file; tells whether there was one.

        Raises:
            OSError: It can't be written.
        """
        held = list(_read(self._path, self._tell))
        found = [old for old in held if old.name == name and old.until_ns > now_ns]
        ended = [Silence(old.name, old.match, now_ns, old.comment) if old in found else old for old in held]
        if found:
            self._write(ended)
        return bool(found)

    def _write(self, held: Iterable[Silence]) -> None:
        write(self._path, {"silences": [asdict(silence) for silence in held]})


def of_settings(alerts: Alerts) -> list[Silence]:
    """Give the silences of the settings."""
    return [
        Silence("settings", one.match, round(datetime.fromisoformat(one.until).timestamp() * 1e9), one.comment)
        for one in alerts.silence
    ]


def matches(matchers: Iterable[str], labels: Texts) -> bool:
    """Tell whether labels meet every matcher; a label that is absent is an empty text."""
    return all(_meets(matcher, labels) for matcher in matchers)


def _meets(matcher: str, labels: Texts) -> bool:
    found = MATCHER.fullmatch(matcher)
    if not found:
        return False
    name, sign, text = found.groups()
    text, value = re.sub(r"\\(.)", r"\1", text) if "~" not in sign else text, labels.get(name, "")
    same = re.fullmatch(text, value) is not None if "~" in sign else value == text
    return same == (sign in ("=", "=~"))


def _read(path: Path, tell: Callable[[str], None]) -> list[Silence]:
    data: dict[str, Any] = read(path, tell) or {"silences": []}
    return [Silence(one["name"], tuple(one["match"]), one["until_ns"], one["comment"]) for one in data["silences"]]
