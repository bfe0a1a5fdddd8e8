"""One phase: a subject under load for a moment, and everything that was read before and after."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import kernel, loggers, meters, servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bench.servers import Nginx

    Watching = Callable[[Path, int], AbstractContextManager[loggers.Logger]]

WATCHERS: dict[str, Watching] = {
    "masthead, no output": loggers.masthead_silent,
    "masthead, NDJSON": loggers.masthead_ndjson,
    "masthead, store": loggers.masthead_store,
    "tcpdump -w": loggers.tcpdump,
    "httpry": loggers.httpry,
    "tshark": loggers.tshark,
}
BARE, NGINX_LOG, EMPTY = "bare", "nginx's own log", "empty program"


@dataclass(frozen=True, slots=True)
class Phase:
    """What one phase used, and for how many exchanges. Times are nanoseconds of CPU."""

    subject: str
    seconds: float
    exchanges: int
    machine_ns: int
    server_ns: int
    watcher_ns: int = 0
    programs: kernel.Runs = field(default_factory=kernel.Runs)
    rows: int | None = None
    lost: int | None = None
    closed: bool | None = None
    resident: int = 0
    stored: tuple[int, int] = (0, 0)
    behind: bool = False

    def each(self, total_ns: float) -> float:
        """Give the share of one exchange."""
        return total_ns / max(1, self.exchanges)

    @property
    def rate(self) -> float:
        """Exchanges a second."""
        return self.exchanges / self.seconds


def run(subject: str, nginx: Nginx, folder: Path, seconds: float) -> Phase:
    """Run one phase."""
    folder.mkdir()
    try:
        if subject in WATCHERS:
            return _watched(subject, nginx, folder, seconds)
        port = nginx.logged if subject == NGINX_LOG else nginx.bare
        with kernel.empty_pair() if subject == EMPTY else nullcontext(kernel.Runs) as programs:
            before = programs()
            with _load(nginx, port, seconds) as used:
                pass
            runs = programs() - before
        return Phase(subject, used.seconds, used.exchanges, used.machine_ns, used.server_ns, programs=runs)
    finally:
        shutil.rmtree(folder)
        nginx.access_log.open("wb").close()


@dataclass(slots=True)
class _Load:
    """What the load itself came to."""

    seconds: float = 0
    exchanges: int = 0
    machine_ns: int = 0
    server_ns: int = 0


@contextmanager
def _load(nginx: Nginx, port: int, seconds: float) -> Iterator[_Load]:
    """Load nginx; what the block does afterwards (finishing) still counts as the machine's work."""
    used = _Load()
    asked, server, machine = nginx.requests(), meters.processor_ns(nginx.pid), meters.machine_ns()
    began = time.monotonic()
    servers.requests(port, seconds)
    used.seconds = time.monotonic() - began
    yield used
    used.machine_ns = meters.machine_ns() - machine
    used.server_ns = meters.processor_ns(nginx.pid) - server
    used.exchanges = nginx.requests() - asked


def _watched(subject: str, nginx: Nginx, folder: Path, seconds: float) -> Phase:
    with WATCHERS[subject](folder, nginx.bare) as logger:
        watcher, programs = logger.processor_ns(), logger.programs()
        with _load(nginx, nginx.bare, seconds) as used:
            logger.finish()
        watcher, programs = logger.processor_ns() - watcher, logger.programs() - programs
    return Phase(
        subject,
        used.seconds,
        used.exchanges,
        used.machine_ns,
        used.server_ns,
        watcher_ns=watcher,
        programs=programs,
        rows=logger.rows,
        lost=_lost(logger),
        closed=logger.closed if logger.ledger else None,
        resident=logger.resident,
        stored=logger.stored,
        behind=logger.behind,
    )


def _lost(logger: loggers.Logger) -> int | None:
    """Records refused or unreadable, rows not written, and rows with gaps (the ledger's own gaps may be others')."""
    if not logger.ledger:
        return None
    losses = ("kernel.refused.", "records.failed.", "rows.failed_at_sink")
    return logger.gaps + sum(count for name, count in logger.ledger.items() if name.startswith(losses))
