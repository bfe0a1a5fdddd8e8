"""In which line of a TOML file a key stands; tomllib gives values without positions.

The text is known to be valid TOML when it comes here, so this scanner checks nothing: it only has to find its way
past strings, comments, arrays and inline tables.
"""

from __future__ import annotations

import bisect
import re
import tomllib
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_STRING = re.compile(
    r'"""(?:\\[\s\S]|(?!""")[^\\])*"{3,5}'
    r"|'''(?:(?!''')[\s\S])*'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_BLANK = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[\s]|#[^\n]*)*")


def positions(text: str) -> dict[Path, int]:
    """Give the line, from 1, of every key, table and array element of a valid TOML text."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """Give the line of a path, or of the nearest thing that it stands in."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._breaks = [found.start() for found in re.finditer("\n", text)]
        self._tables: dict[Path, int] = {}

    def document(self) -> None:
        prefix: Path = ()
        self._take(_GAP)
        while self._at < len(self._text):
            if self._ahead("["):
                prefix = self._header()
            else:
                self._pair(prefix)
            self._take(_GAP)

    def _header(self) -> Path:
        line = self._line()
        many = self._ahead("[[")
        self._at += 2 if many else 1
        parts = self._key()
        self._at += 2 if many else 1
        path = self._resolve(parts[:-1], line)
        path = (*path, parts[-1])
        self.lines.setdefault(path, line)
        if many:
            self._tables[path] = self._tables.get(path, -1) + 1
        if path in self._tables:
            path = (*path, self._tables[path])
        self.lines.setdefault(path, line)
        return path

    def _resolve(self, parts: list[str], line: int) -> Path:
        """Follow a header's parents; inside an array of tables that means its latest table."""
        path: Path = ()
        for part in parts:
            path = (*path, part)
            self.lines.setdefault(path, line)
            if path in self._tables:
                path = (*path, self._tables[path])
        return path

    def _pair(self, prefix: Path) -> None:
        line = self._line()
        path = prefix
        for part in self._key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._take(_BLANK)
            quoted = self._text[self._at] in "\"'"
            part = self._take(_STRING if quoted else _BARE)
            parts.append(str(tomllib.loads(f"k={part}")["k"]) if quoted else part)
            self._take(_BLANK)
            if not self._ahead("."):
                return parts
            self._at += 1

    def _value(self, path: Path) -> None:
        self._take(_BLANK)
        if self._ahead("["):
            self._array(path)
        elif self._ahead("{"):
            self._inline_table(path)
        elif not self._take(_STRING):
            self._take(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        self._take(_GAP)
        index = 0
        while not self._ahead("]"):
            element = (*path, index)
            self.lines.setdefault(element, self._line())
            self._value(element)
            self._comma()
            index += 1
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        self._take(_GAP)
        while not self._ahead("}"):
            self._pair(path)
            self._comma()
        self._at += 1

    def _comma(self) -> None:
        self._take(_GAP)
        if self._ahead(","):
            self._at += 1
            self._take(_GAP)

    def _line(self) -> int:
        return bisect.bisect_left(self._breaks, self._at) + 1

    def _ahead(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found.group()
