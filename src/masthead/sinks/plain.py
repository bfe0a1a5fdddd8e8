"""Text that can be printed: header values come from strangers, and a terminal obeys what it prints."""

from __future__ import annotations


def plain(text: str) -> str:
    """Escape what is not printable."""
    return "".join(mark if mark.isprintable() else _escaped(mark) for mark in text)


def _escaped(mark: str) -> str:
    return f"\\x{ord(mark):02x}" if ord(mark) < 0x100 else f"\\u{{{ord(mark):x}}}"  # noqa: PLR2004 - one byte
