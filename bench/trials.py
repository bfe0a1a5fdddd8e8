"""The trials: which phases are run, how often and in which order."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import asking, history, kernel, loggers, phases, recording, servers
from bench.children import ChildFailedError, await_true

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.phases import Phase

MASTHEAD = ("masthead, no output", "masthead, NDJSON", "masthead, store")
OTHERS = ("tcpdump -w", "httpry", "tshark")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: Alternating rounds of masthead and nginx's own log.
        few: Rounds of everything else.
        seconds: Length of one phase.
        recorded: Exchanges in the capture file for the parser.
        history: Rows of the store that is asked.
        folder: Where all files go; removed at the end.
    """

    rounds: int
    few: int
    seconds: float
    recorded: int
    history: int
    folder: Path


def tell(text: str) -> None:
    """Show progress."""
    print(f"  {text}", flush=True)


def http(plan: Plan) -> list[dict[str, Phase]]:
    """masthead, nginx's own log and nothing at all, in alternating phases."""
    return _rounds(plan, plan.rounds, (phases.BARE, phases.NGINX_LOG, phases.EMPTY, *MASTHEAD))


def others(plan: Plan) -> list[dict[str, Phase]]:
    """The other loggers, beside nothing at all."""
    return _rounds(plan, plan.few, (phases.BARE, *OTHERS))


def _rounds(plan: Plan, count: int, subjects: tuple[str, ...]) -> list[dict[str, Phase]]:
    found = []
    with servers.nginx(plan.folder / "nginx") as nginx, kernel.run_time_statistics():
        servers.requests(nginx.bare, 1)
        for number in range(count):
            # Every other round goes backwards, so that no subject always comes after the same one.
            order = subjects if number % 2 == 0 else subjects[::-1]
            done = {name: phases.run(name, nginx, plan.folder / "phase", plan.seconds) for name in order}
            found.append(done)
            tell(f"round {number + 1} of {count}: " + _brief([done[name] for name in subjects]))
    shutil.rmtree(plan.folder / "nginx")
    return found


def _brief(done: list[Phase]) -> str:
    return ", ".join(f"{phase.subject} {phase.rate / 1000:.0f}k/s" for phase in done)


@dataclass(frozen=True, slots=True)
class Pair:
    """What could be done a second without masthead and with it."""

    bare: float
    watched: float

    @property
    def loss(self) -> float:
        """The share that was lost."""
        return 1 - self.watched / self.bare


def redis(plan: Plan) -> tuple[list[Pair], float]:
    """Unpipelined SETs: what traffic that is not HTTP pays; also the run time of the programs per SET, in us."""
    with servers.redis(plan.folder / "redis") as port:
        count = int(servers.redis_sets(port, 50_000) * plan.seconds)
        pairs = _pairs(plan, lambda: servers.redis_sets(port, count), "SETs")
        with kernel.run_time_statistics(), _masthead(plan) as logger:
            before = logger.programs()
            servers.redis_sets(port, count)
            runs = logger.programs() - before
    return pairs, runs.time_ns / count / 1000


def bulk(plan: Plan) -> list[Pair]:
    """One connection that moves as many bytes as it can, which are no HTTP."""
    return _pairs(plan, lambda: servers.bulk(plan.seconds, plan.folder), "bytes")


def large(plan: Plan) -> list[Pair]:
    """Send a large file with nginx, by sendfile."""
    with servers.nginx(plan.folder / "nginx") as nginx:
        found = _pairs(
            plan, lambda: servers.requests(nginx.bare, plan.seconds, "/large", 2) / plan.seconds, "large answers"
        )
    shutil.rmtree(plan.folder / "nginx")
    return found


def _pairs(plan: Plan, measure: Callable[[], float], what: str) -> list[Pair]:
    measure()
    found = []
    for number in range(plan.rounds):
        if number % 2:
            watched, bare = _with_masthead(plan, measure), measure()
        else:
            bare, watched = measure(), _with_masthead(plan, measure)
        found.append(Pair(bare, watched))
        tell(f"round {number + 1} of {plan.rounds}: {bare:,.0f} {what}/s bare, {watched:,.0f} with masthead")
    return found


def _with_masthead(plan: Plan, measure: Callable[[], float]) -> float:
    with _masthead(plan):
        return measure()


def _masthead(plan: Plan) -> loggers.Running:
    folder = plan.folder / "masthead"
    folder.mkdir(exist_ok=True)
    return loggers.masthead(folder, ["--output", "none"])


def replay(plan: Plan) -> list[float]:
    """Exchanges per second of CPU that the parser takes from a capture file, one figure per round."""
    small, full = plan.folder / "small.pcap", plan.folder / "full.pcap"
    recording.write(small, 1)
    recording.write(full, plan.recorded)
    found = []
    for number in range(plan.few):
        # The start of Python and of the extension is no part of the parser.
        used = _replay_seconds(full) - _replay_seconds(small)
        found.append(plan.recorded / used)
        tell(f"round {number + 1} of {plan.few}: {found[-1]:,.0f} exchanges per second of CPU")
    return found


def _replay_seconds(file: Path) -> float:
    command = [str(loggers.MASTHEAD), "replay", "--output", "none", "--key-file", str(file.parent / "key"), str(file)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ChildFailedError(f"{' '.join(command)}: exit {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def first_line(plan: Plan) -> list[float]:
    """Seconds from the start of masthead to the first line in its log, under a call every few milliseconds."""
    found = []
    with servers.nginx(plan.folder / "nginx") as nginx:
        for _ in range(plan.few):
            folder = plan.folder / "first"
            folder.mkdir()
            rows, began = folder / "rows.ndjson", time.monotonic()
            with loggers.masthead(folder, ["--file", rows]) as logger:
                await_true(logger.process, lambda: _call(nginx.bare) and _written(rows), logger.said)  # noqa: B023
                found.append(time.monotonic() - began)
            shutil.rmtree(folder)
            tell(f"{found[-1]:.2f} s")
    shutil.rmtree(plan.folder / "nginx")
    return found


def questions(plan: Plan) -> dict[str, list[float]]:
    """Seconds that questions about ten million rows take, each as often as there are rounds; alternating."""
    root, found = plan.folder / "history", dict[str, list[float]]()
    history.fill(root, plan.history, hours=240, tell=tell)
    for _ in range(plan.rounds):
        for name, seconds in asking.asked(root):
            found.setdefault(name, []).append(seconds)
    shutil.rmtree(root)
    return found


def _call(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        return bool(stream.recv(65_536))


def _written(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0
