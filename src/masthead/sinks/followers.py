"""Those who watch a running service: NDJSON over a Unix socket, made only while somebody listens.

Nobody who watches can hold the log up: what a slow follower can't take is left out for that follower, and it is told
how many rows it missed.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from masthead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masthead.batch import Batch

# What one follower may be behind: about 4,000 rows. Beyond that a terminal shows nothing a person could read.
BACKLOG_BYTES = 4 << 20
# Calls under way that one who asks is told of at most: the oldest, more than anybody reads.
MOST_OPEN = 1_000
# A follower that sends this is told of the calls under way.
ASK_OPEN = b"o"
# More people than watch one host at a time; each costs up to the backlog.
MOST_FOLLOWERS = 16


class Followers:
    """Fans rows out.

    Args:
        path: Where the socket is made, for this user alone.
        open_exchanges: Gives the calls under way, at most so many.

    Attributes:
        missed: Rows that followers were too slow for.

    Raises:
        ConfigError: The socket can't be made, or another service has it.
    """

    gone = False

    def __init__(
        self,
        path: str,
        *,
        backlog: int = BACKLOG_BYTES,
        open_exchanges: Callable[[int], Batch] | None = None,
    ) -> None:
        self.missed = 0
        self._open_exchanges = open_exchanges
        self._path = Path(path)
        self._backlog = backlog
        self._followers: list[_Follower] = []
        self._listener = _listen(self._path)

    def tick(self) -> None:
        """Let newcomers in, send what waits, forget those who left."""
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(0)
                if len(self._followers) < MOST_FOLLOWERS:
                    self._followers.append(_Follower(connection, self._backlog))
                else:
                    connection.close()
        self._for_each(_Follower.flush)
        if self._open_exchanges and any(follower.asks for follower in self._followers):
            batch = self._open_exchanges(MOST_OPEN)
            told = json.dumps({"masthead": {"event": "open", "rows": batch.num_rows}}).encode() + b"\n"
            lines = told + batch.ndjson("object")
            self._for_each(lambda follower: follower.answer(lines))

    def write(self, batch: Batch) -> int:
        """Send a batch to those who listen; that one of them misses it is no failure of the log."""
        self.tick()
        if self._followers:
            lines = batch.ndjson("object")
            self._for_each(lambda follower: follower.take(lines, batch.num_rows))
        return 0

    def note(self, event: Mapping[str, object]) -> None:
        """Send a line about masthead itself."""
        line = json.dumps({**event}).encode() + b"\n"
        self._for_each(lambda follower: follower.take(line, 0))

    def close(self) -> None:
        """Send them off and take the socket away."""
        for follower in self._followers:
            follower.connection.close()
        self._listener.close()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _for_each(self, action: Callable[[_Follower], None]) -> None:
        staying = []
        for follower in self._followers:
            before = follower.missed
            try:
                action(follower)
                staying.append(follower)
            except OSError:
                follower.connection.close()
            self.missed += follower.missed - before
        self._followers = staying


class _Follower:
    def __init__(self, connection: socket.socket, backlog: int) -> None:
        self.connection = connection
        self.missed = 0
        self.asks = False
        self._backlog = backlog
        self._untold = 0
        self._waiting = bytearray()

    def take(self, lines: bytes, rows: int) -> None:
        if len(self._waiting) + len(lines) > self._backlog:
            self.missed += rows
            self._untold += rows
        else:
            if self._untold:
                self._waiting += json.dumps({"masthead": {"event": "missed", "rows": self._untold}}).encode() + b"\n"
                self._untold = 0
            self._waiting += lines
        self.flush()

    def flush(self) -> None:
        """Send what fits; raises OSError when the follower left."""
        with contextlib.suppress(BlockingIOError):
            while self._waiting:
                sent = self.connection.send(self._waiting)
                del self._waiting[:sent]
        with contextlib.suppress(BlockingIOError):
            heard = self.connection.recv(1)
            if not heard:
                raise ConnectionResetError
            self.asks |= heard == ASK_OPEN

    def answer(self, lines: bytes) -> None:
        """Tell one who asks of the calls under way, whatever else waits: it is no part of the log and never missed."""
        if self.asks:
            self.asks = False
            self._waiting += lines
            self.flush()


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _remove_stale(path)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(MOST_FOLLOWERS)
    except OSError as error:
        listener.close()
        what = f"no socket for `masthead tail`: {error.strerror or error}"
        raise ConfigError(what, str(path), 'set output.tail_socket; "" does without') from error
    return listener


def _remove_stale(path: Path) -> None:
    """Remove a socket that a killed service left; one that answers belongs to a service that runs."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        message = "another masthead run has it"
        raise OSError(message)
