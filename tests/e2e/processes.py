"""Child processes started and ended by id, and what the kernel says about them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator


def leashed(number: str) -> tuple[str, ...]:
    """A prefix under which a command gets this signal when the tests die, so that nothing is left running."""
    return ("setpriv", "--pdeathsig", number) if shutil.which("setpriv") else ()


def executable(pid: int) -> str:
    """Return the path of the file that a process runs."""
    return str(Path(f"/proc/{pid}/exe").readlink())


def family(pid: int) -> set[int]:
    """Return a process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def executables(pid: int) -> dict[int, str]:
    """Return the executable of a process and of each that descends from it."""
    return {member: executable(member) for member in family(pid)}


def end(child: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> int:
    """End one child, by force when it does not end by itself in time."""
    if child.poll() is None:
        child.send_signal(number)
    try:
        return child.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        for pid in family(child.pid):
            os.kill(pid, signal.SIGKILL)
        child.wait()
        raise


@contextmanager
def running(command: list[str], log: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command with its output in `log` and further environment variables, until the block is left."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            [*leashed("TERM"), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **more},
        )
    try:
        yield child
    finally:
        end(child)
