"""Reads llhttp's test cases: Markdown with the bytes in an `http` block and what llhttp makes of them in a `log` block.

The conventions are those of llhttp's own reader (test/md-test.ts): the block's last line break is not part of it, a
backslash before a line break takes that away, line breaks are CRLF, and C's escapes stand for what they do in C.
Offsets count UTF-8.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLANK = b" \t\r\n"
PARTS = {"method", "url", "status", "header_field", "header_value"}
# Pauses are llhttp's way to hand over to another protocol; and every token is a method here (RFC 9110, section 9.1).
NO_ERRORS = (
    "Pause on CONNECT/Upgrade",
    "Pause on PRI/Upgrade",
    "Invalid method for HTTP/x.x request",
)

_CASE = re.compile(
    r"^(?P<level>\#+)[ ](?P<title>[^\n]+)\n"
    r"|^<!--[ ]meta=(?P<meta>\{[^\n]*\})[ ]-->\s+```http\n(?P<http>.*?)```(?:\s|_[^\n]+_\n)+```log\n(?P<log>.*?)```",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
_LINE = re.compile(
    r"off=(?P<at>\d+)[ ]"
    r'(?:len=(?P<size>\d+) span\[(?P<part>\w+)\]|(?P<done>\w+) complete|error code=\d+ reason="(?P<why>.*)")'
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message; an empty one has no place worth comparing."""

    name: str
    at: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes, and what llhttp makes of them.

    Attributes:
        parts: The parts that it read to their end.
        error: Why it refused the bytes.
        end: Where it stopped because of a pause.
    """

    name: str
    response: bool
    finish: bool
    data: bytes
    parts: list[Part]
    error: str | None
    end: int | None


def cases(root: Path) -> Iterator[Case]:
    """Yield every case below a directory; those of one title are numbered."""
    for path in sorted(root.glob("*/*.md")):
        title = ""
        seen: dict[str, int] = {}
        for match in _CASE.finditer(path.read_text("utf-8")):
            if match["title"]:
                title = match["title"]
                continue
            name = f"{path.parent.name}/{path.stem}: {title}"
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:
                name += f" ({seen[name]})"
            yield _case(name, json.loads(match["meta"]), match["http"], match["log"])


def _case(name: str, meta: dict[str, Any], http: str, log: str) -> Case:
    data = _bytes(http)
    kind = meta["type"]
    parts, error, end = _read(log, data)
    return Case(name, kind.startswith("response"), kind.endswith("-finish"), data, parts, error, end)


def _bytes(text: str) -> bytes:
    text = re.sub(r"\\\n", "", text.removesuffix("\n")).replace("\n", "\r\n")
    for escape, meant in {r"\r": "\r", r"\n": "\n", r"\t": "\t", r"\f": "\f"}.items():
        text = text.replace(escape, meant)
    return re.sub(r"\\x([0-9a-fA-F]+)", lambda match: chr(int(match[1], 16)), text).encode()


def _read(log: str, data: bytes) -> tuple[list[Part], str | None, int | None]:
    parts, end = [], None
    error = "ended early" if "finish=2" in log else None
    open_: dict[str, tuple[int, int]] = {}
    for match in _LINE.finditer(log):
        at = int(match["at"])
        if part := match["part"]:
            first = open_[part][0] if part in open_ else at
            open_[part] = (first, at + int(match["size"]))
        elif (done := match["done"]) in PARTS and done in open_:
            parts.append(part_of(done, data, *open_.pop(done)))
        elif match["why"] in NO_ERRORS:
            end = at
        elif match["why"]:
            error = match["why"]
    if error is None:
        # Bytes that end in the middle of a part.
        parts += [part_of(part, data, *span) for part, span in open_.items() if part in PARTS]
    return parts, error, end


def part_of(name: str, data: bytes, first: int, last: int) -> Part:
    """Return a part of the data without the white space around it (a fold keeps what is between)."""
    text = data[first:last]
    stripped = text.strip(BLANK)
    return Part(name, first + len(text) - len(text.lstrip(BLANK)) if stripped else 0, stripped)
