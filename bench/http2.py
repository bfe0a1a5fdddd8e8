"""HTTP/2 without TLS: what an exchange costs, by how many streams a connection carries at once."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import h2load, kernel, loggers, servers
from bench.children import await_true, child, free_port, listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STREAMS = (1, 10, 100)
BODY = '{"id": 17, "name": "tea", "price": 4.2}'


@dataclass(frozen=True, slots=True)
class Cost:
    """One phase of masthead under h2load.

    Attributes:
        streams: Calls under way at once on each connection.
        exchanges: Calls that were answered.
        seconds: How long they took.
        programs: Runs of masthead's programs, and the time in them.
        empty: What programs that do nothing take in as many runs, in nanoseconds.
        processes_ns: CPU time of masthead's processes.
        rows: Rows that it logged.
        records: Records that the kernel side sent.
    """

    streams: int
    exchanges: int
    seconds: float
    programs: kernel.Runs
    empty: float
    processes_ns: int
    rows: int
    records: int

    @property
    def programs_us(self) -> float:
        """Microseconds of programs for each exchange, less what timing them takes."""
        return (self.programs.time_ns - self.empty) / self.exchanges / 1000

    @property
    def processes_us(self) -> float:
        """Microseconds of masthead's processes for each exchange."""
        return self.processes_ns / self.exchanges / 1000


def costs(folder: Path, rounds: int, count: int) -> list[list[Cost]]:
    """Measure each number of streams in each round."""
    with _nghttpd(folder / "nghttpd") as port, kernel.run_time_statistics():
        _h2load(port, STREAMS[-1], count // 10)
        return [[_cost(folder / "phase", port, streams, count) for streams in STREAMS] for _ in range(rounds)]


def _cost(folder: Path, port: int, streams: int, count: int) -> Cost:
    folder.mkdir(exist_ok=True)
    with kernel.empty_pair() as nothing, loggers.masthead_silent(folder, port) as logger:
        processes, programs, empty = logger.processor_ns(), logger.programs(), nothing()
        seconds = _h2load(port, streams, count)
        logger.finish()
        processes, programs, empty = (
            logger.processor_ns() - processes,
            logger.programs() - programs,
            nothing() - empty,
        )
    idle = programs.count * empty.time_ns / max(1, empty.count)
    records = logger.ledger.get("records.consumed", 0)
    return Cost(streams, count, seconds, programs, idle, processes, logger.rows or 0, records)


@contextmanager
def _nghttpd(folder: Path) -> Iterator[int]:
    """Run nghttp2's server with one thread; give its port."""
    folder.mkdir()
    (folder / "orders").write_text(BODY, encoding="utf-8")
    port, log = free_port(), folder / "log"
    with child(["nghttpd", "--no-tls", "-n1", "-a", "127.0.0.1", "-d", folder, str(port)], log) as process:
        await_true(process, lambda: listening(port), log)
        yield port


def _h2load(port: int, streams: int, count: int) -> float:
    return h2load.ask(f"http://127.0.0.1:{port}/orders", count, [f"-m{streams}"], servers.REQUEST_FIELDS)
