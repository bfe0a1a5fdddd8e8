"""Where batches come from: the extension's capture and replay behind one seam."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Protocol

from masthead.extension import native
from masthead.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masthead._native import Rules
    from masthead.batch import Batch
    from masthead.config import Config

# A batch is handed on when it has this many rows or is this old, whichever comes first: large enough that Python's
# share per row vanishes, young enough for people who watch.
BATCH_ROWS = 4_096
BATCH_MS = 200


class Source(Protocol):
    """Something that gives batches until it is closed."""

    @property
    def closed(self) -> bool:
        """Whether nothing more can come."""

    def next(self, timeout_ms: int) -> Batch | None:
        """Give the next batch, or `None` when none came in time."""

    def ledger(self) -> Ledger:
        """Give the account so far."""

    def close(self) -> None:
        """Stop; what was begun can still be fetched."""


def capture_options(config: Config) -> str:
    """Give the options of `masthead._native.Capture`."""
    capture = config.capture
    return json.dumps(
        {
            "cgroups": list(capture.cgroups),
            "ports": list(capture.ports),
            "role": None if capture.role == "both" else capture.role,
            "processes": list(capture.processes),
            "ring_bytes": capture.ring_bytes,
            "max_head_bytes": capture.max_head_bytes,
            "batch_rows": BATCH_ROWS,
            "batch_ms": BATCH_MS,
            "own_pids": [os.getpid()],
            "tls": {
                "enabled": config.tls.enabled,
                "listening": config.tls.listening,
                "processes": list(config.tls.processes),
            },
        }
    )


def replay_options(config: Config, keylogs: Sequence[str] = ()) -> str:
    """Give the options of `masthead._native.Replay`."""
    options = {
        "max_head_bytes": config.capture.max_head_bytes,
        "batch_rows": BATCH_ROWS,
        "keylogs": [os.fspath(path) for path in keylogs],
    }
    return json.dumps(options)


class CaptureSource:
    """The `socket` source: this host's connections.

    Args:
        config: Which connections, with how much memory.
        rules: Applied while batches are built.

    Raises:
        NotSupportedError: This kernel can't do it.
        NotPermittedError: A capability is missing.
    """

    def __init__(self, config: Config, rules: Rules) -> None:
        self._capture = native().Capture(capture_options(config), rules)

    @property
    def closed(self) -> bool:
        """Whether it was closed and nothing more can come."""
        return bool(self._capture.closed)

    def next(self, timeout_ms: int) -> Batch | None:
        """Wait for a batch."""
        batch: Batch | None = self._capture.next(timeout_ms)
        return batch

    def set_rules(self, rules: Rules) -> None:
        """Apply other rules from the next batch on."""
        self._capture.set_rules(rules)

    def open_exchanges(self, most: int) -> Batch:
        """Give the calls under way, the oldest first, at most so many."""
        batch: Batch = self._capture.open_exchanges(most)
        return batch

    def ledger(self) -> Ledger:
        """Give the account so far."""
        return Ledger.from_json(self._capture.ledger())

    @property
    def tls_trouble(self) -> str | None:
        """Why plaintext inside TLS can't be seen, or not all of it."""
        trouble: str | None = json.loads(self._capture.ledger()).get("tls_trouble")
        return trouble

    def close(self) -> None:
        """Detach the programs and flush."""
        self._capture.close()


class ReplaySource:
    """The `pcap` source: one recorded file.

    Args:
        path: The file, or `-` for standard input.
        config: The head limit.
        rules: Applied while batches are built.
        keylogs: Key log files (SSLKEYLOGFILE, RFC 9850) for its TLS connections.

    Raises:
        InputError: It, or a key log, can't be opened, or it is no capture file.
    """

    def __init__(self, path: str, config: Config, rules: Rules, keylogs: Sequence[str] = ()) -> None:
        self._replay = native().Replay(path, rules, replay_options(config, keylogs))
        self.closed = False

    @property
    def problems(self) -> list[str]:
        """What was damaged so far, one line each."""
        return list(self._replay.problems)

    def next(self, timeout_ms: int = 0) -> Batch | None:  # noqa: ARG002 - a file never makes anyone wait
        """Read on to the next batch."""
        if self.closed:
            return None
        batch: Batch | None = self._replay.next()
        self.closed = batch is None
        return batch

    def ledger(self) -> Ledger:
        """Give the account so far."""
        return Ledger.from_json(self._replay.ledger())

    def close(self) -> None:
        """Read no further."""
        self.closed = True
