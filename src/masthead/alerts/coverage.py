"""Which spans of time were watched: what happened in the others is not known, which is not the same as nothing."""

from __future__ import annotations

from typing import Any

# A range says something when this much of it was watched.
ENOUGH = 0.9


class Coverage:
    """The time since the beginning, and the gaps in it.

    Args:
        keep_ns: Gaps that ended so long ago are forgotten: the longest range.
    """

    def __init__(self, keep_ns: int) -> None:
        self._keep_ns = keep_ns
        self._begin_ns: int | None = None
        self._end_ns = 0
        self._gaps: list[tuple[int, int]] = []

    def watched(self, begin_ns: int, end_ns: int) -> None:
        """Note that a span was watched; what lies between it and the one before was not."""
        if self._begin_ns is None:
            self._begin_ns = begin_ns
        elif begin_ns > self._end_ns:
            self._gaps.append((self._end_ns, begin_ns))
        self._end_ns = end_ns
        self._gaps = [gap for gap in self._gaps if gap[1] > end_ns - self._keep_ns]

    def known(self, range_ns: int) -> bool:
        """Tell whether enough of a range that ends with the last span was watched."""
        if self._begin_ns is None:
            return False
        begin = self._end_ns - range_ns
        missed = max(0, self._begin_ns - begin)
        missed += sum(max(0, last - max(first, begin)) for first, last in self._gaps)
        return missed <= range_ns * (1 - ENOUGH)

    def state(self) -> dict[str, Any]:
        """Give it for JSON."""
        return {"begin": self._begin_ns, "end": self._end_ns, "gaps": self._gaps}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what an earlier one knew."""
        self._begin_ns, self._end_ns = state["begin"], state["end"]
        self._gaps = [(first, last) for first, last in state["gaps"]]
