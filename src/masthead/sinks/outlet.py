"""A file descriptor that rows go to: whole lines or nothing, failures counted and told now and then, never raised."""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from masthead.errors import ConfigError
from masthead.sinks.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable

REPORT_EVERY = 60.0


def complain(message: str) -> None:
    """Tell the user on standard error, if there is one; what strangers put into it can't steer a terminal."""
    text = "\n".join(plain(line) for line in message.split("\n"))
    try:
        sys.stderr.write(f"masthead: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


class Outlet:
    """Standard output or a file, written to line by line.

    Args:
        file: The file to append to; empty for standard output.
        descriptor: What to write to where there is no file.
        reader_may_leave: Whether a reader that goes away (`| head`) is the end, not a failure to tell of.
        clock: Seconds, monotonic.
        tell: Takes a message for the user.

    Attributes:
        gone: Whether the reader went away (EPIPE), so that nothing will ever be read again.
        failed: Rows that did not get through.
        incomplete: Something could not be written, row or not, although its reader was there.

    Raises:
        ConfigError: The file can't be opened.
    """

    def __init__(
        self,
        file: str = "",
        *,
        descriptor: int = 1,
        reader_may_leave: bool = False,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] = complain,
    ) -> None:
        self.name = file or "standard output"
        self.gone = False
        self.failed = 0
        self.incomplete = False
        self._own = bool(file)
        self._reader_may_leave = reader_may_leave
        self._descriptor = _open(Path(file)) if file else descriptor
        self._clock = clock
        self._tell = tell
        self._torn = False
        self._told_at = -REPORT_EVERY
        self._told = 0

    @property
    def terminal(self) -> bool:
        """Whether a person looks at it."""
        return os.isatty(self._descriptor)

    def write(self, lines: bytes) -> int:
        """Write whole lines, one row each.

        Returns:
            How many rows did not get through.
        """
        prefix = b"\n" if self._torn else b""
        data = prefix + lines
        written, error = self._push(data)
        if written:
            self._torn = data[written - 1 : written] != b"\n"
        if error is None:
            return 0
        self.incomplete |= not (self.gone and self._reader_may_leave)
        if self._torn and self._own:
            self._retract(written - (data.rfind(b"\n", 0, written) + 1))
        rows = lines.count(b"\n") - max(0, data.count(b"\n", 0, written) - len(prefix))
        self.failed += rows
        self._report(error)
        return rows

    def write_note(self, line: bytes) -> None:
        """Write a line that is no row."""
        missed = self.write(line)
        self.failed -= missed

    def close(self) -> None:
        """Close a file of our own."""
        if self._own:
            os.close(self._descriptor)

    def _push(self, data: bytes) -> tuple[int, OSError | None]:
        written = 0
        view = memoryview(data)
        while written < len(data):
            try:
                written += os.write(self._descriptor, view[written:])
            except BlockingIOError:
                # Whoever shares the pipe made it non-blocking; we still mean to wait.
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.gone = isinstance(error, BrokenPipeError)
                return written, error
        return written, None

    def _retract(self, torn: int) -> None:
        """Take half a line back from a file of our own; elsewhere the next line starts with a line break."""
        try:
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - torn)
        except OSError:
            return
        self._torn = False

    def _report(self, error: OSError) -> None:
        if self.gone and self._reader_may_leave:
            return
        if self._clock() - self._told_at < REPORT_EVERY:
            return
        self._told_at = self._clock()
        rows, self._told = self.failed - self._told, self.failed
        reason = error.strerror or str(error)
        self._tell(f"{self.name}: {reason}: {rows:,} rows not written, counted as failed_at_sink; going on")


def _open(path: Path) -> int:
    try:
        # Rows may hold what is nobody else's business: no one else reads a log that we create.
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise ConfigError(
            f"can't be written to: {error.strerror or error}",
            str(path),
            "set output.file (--file) to a file that this user may write",
        ) from error
