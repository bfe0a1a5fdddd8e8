"""Where batches go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from masthead.sinks.ndjson import NdjsonSink
from masthead.sinks.none import NoneSink
from masthead.sinks.outlet import Outlet, complain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from masthead.batch import Batch
    from masthead.config.model import Output

__all__ = ["Sink", "complain", "open_sink"]


class Sink(Protocol):
    """Something that takes batches and never stops the capture."""

    @property
    def gone(self) -> bool:
        """Whether nobody will ever read on, so that a command that only writes can end."""

    def write(self, batch: Batch) -> int:
        """Take a batch; gives the number of rows that did not get through."""

    def note(self, event: Mapping[str, object]) -> None:
        """Take a line about masthead itself, such as a loss."""

    def close(self) -> None:
        """Let go of what it holds."""


def open_sink(output: Output, *, reader_may_leave: bool = False) -> Sink:
    """Open the sink that the settings ask for.

    Args:
        output: The settings.
        reader_may_leave: Whether a reader that goes away (`| head`) is the end, not a failure to tell of.

    Raises:
        ConfigError: Its file can't be opened.
    """
    if output.format == "none":
        return NoneSink()
    outlet = Outlet(output.file, reader_may_leave=reader_may_leave)
    if output.format == "table":
        from masthead.sinks.table import TableSink  # noqa: PLC0415 - rich takes long to import

        return TableSink(outlet)
    return NdjsonSink(outlet, output.headers)
