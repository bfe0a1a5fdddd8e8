"""Rows for people: one line a call, in columns, in colour on a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from masthead.sinks.lines import HEADING, Painter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from masthead.batch import Batch
    from masthead.sinks.outlet import Outlet


class TableSink:
    """Writes each row as a line below one heading.

    Args:
        outlet: Where to.
        headers: Whether the fields follow each line.
    """

    def __init__(self, outlet: Outlet, *, headers: bool = False) -> None:
        self._outlet = outlet
        self._headers = headers
        self._painter = Painter(colour=outlet.terminal)
        self._begun = False

    @property
    def gone(self) -> bool:
        """Whether nobody will ever read on."""
        return self._outlet.gone

    def write(self, batch: Batch) -> int:
        """Write a batch; gives the rows that did not get through."""
        rows = [json.loads(line) for line in batch.ndjson("pairs").splitlines()]
        return self.write_rows(rows)

    def write_rows(self, rows: list[dict[str, object]]) -> int:
        """Write rows in the form of NDJSON; gives those that did not get through."""
        if not rows:
            return 0
        if not self._begun:
            self._begun = True
            self._outlet.write_note(self._painter.line(HEADING).encode())
        failed = 0
        for row in rows:
            text = self._painter.row(row, headers=self._headers)
            failed += bool(self._outlet.write(text.encode(errors="replace")))
        return failed

    def note(self, event: Mapping[str, object]) -> None:
        """Write a line about masthead itself."""
        self._outlet.write_note(self._painter.note(event).encode())

    def close(self) -> None:
        """Close the file."""
        self._outlet.close()
