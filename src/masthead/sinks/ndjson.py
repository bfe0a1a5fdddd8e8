"""Rows as newline-delimited JSON, one object a line, as the extension writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from masthead.batch import Batch
    from masthead.sinks.outlet import Outlet


class NdjsonSink:
    """Writes each batch in one go.

    Args:
        outlet: Where to.
        headers: `"object"` or `"pairs"`.
    """

    def __init__(self, outlet: Outlet, headers: str = "object") -> None:
        self._outlet = outlet
        self._headers = headers

    @property
    def gone(self) -> bool:
        """Whether nobody will ever read on."""
        return self._outlet.gone

    def write(self, batch: Batch) -> int:
        """Write a batch; gives the rows that did not get through."""
        return self._outlet.write(batch.ndjson(self._headers))

    def note(self, event: Mapping[str, object]) -> None:
        """Write a line about masthead itself among the rows."""
        self._outlet.write_note(json.dumps({**event}, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._outlet.close()
