"""The Python interface behind `masthead.capture` and `masthead.replay`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self, cast

from masthead.config import Config, load
from masthead.config.report import suggestion
from masthead.errors import ConfigError
from masthead.rules import compile_rules
from masthead.sources import CaptureSource, ReplaySource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from masthead._native import Batch
    from masthead.ledger import Ledger

# How long an interrupt (Ctrl-C) can go unnoticed.
_WAIT_MS = 200
# Calls under way that are shown at most: more than anybody reads, little to put together.
MOST_OPEN = 1_000


class Batches:
    """An iterator of batches, and a context manager that stops their source."""

    def __init__(self, source: CaptureSource | ReplaySource) -> None:
        self._source = source

    def __iter__(self) -> Self:
        """Give itself."""
        return self

    def __next__(self) -> Batch:
        """Wait for the next batch."""
        while not self._source.closed:
            batch = self._source.next(_WAIT_MS)
            if batch is not None:
                # The sources give the extension's batches; the seam names only what the pipeline uses of them.
                return cast("Batch", batch)
        raise StopIteration

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the source."""
        self.close()

    def close(self) -> None:
        """Stop the source; what was begun can still be iterated."""
        self._source.close()

    def open_exchanges(self, most: int = MOST_OPEN) -> Batch | None:
        """Give the calls under way, such as streams: what is known so far of each, the oldest first.

        Args:
            most: How many at most.

        Returns:
            A batch with the columns of every batch; `duration_ns` is null, bytes are those so far. `None` of a
            recording, where nothing is under way.
        """
        if isinstance(self._source, ReplaySource):
            return None
        return cast("Batch", self._source.open_exchanges(most))

    def ledger(self) -> Ledger:
        """Give the account of everything seen, logged and lost so far."""
        return self._source.ledger()

    @property
    def problems(self) -> list[str]:
        """What was damaged in a file so far, one line each; empty for a capture."""
        return self._source.problems if isinstance(self._source, ReplaySource) else []


def open_replay(path: str, keylogs: Sequence[str], config: str | None, settings: Mapping[str, object]) -> Batches:
    """Open a recorded file."""
    read = read_settings(config, settings)
    return Batches(ReplaySource(path, read, compile_rules(read), keylogs))


def open_capture(config: str | None, settings: Mapping[str, object]) -> Batches:
    """Start capturing."""
    read = read_settings(config, settings)
    return Batches(CaptureSource(read, compile_rules(read)))


def read_settings(config: str | None, settings: Mapping[str, object]) -> Config:
    """Read the settings; a library does not search the machine for a file that nobody named."""
    known = {
        f"{section}_{key}": f"{section}.{key}"
        for section, field in Config.model_fields.items()
        for key in getattr(field.annotation, "model_fields", {})
    }
    for name in settings:
        if name not in known:
            what = f"unknown setting{suggestion(name, known)}"
            raise ConfigError(what, name, "settings are named section_key, such as capture_ports")
    flags = {known[name]: value for name, value in settings.items()}
    return load(flags, path=config or os.devnull, environ={}).config
