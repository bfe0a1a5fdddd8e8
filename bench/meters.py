"""Reads what processes and the machine have used so far: CPU time and memory."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_IDLE, _WAITING = 3, 4  # columns of /proc/stat
_SETTLED_NS = 3_000_000
_LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process, in bytes."""

    now: int
    highest: int


def processor_ns(pid: int) -> int:
    """Give the CPU time of a process and its children, all threads (`schedstat`: true nanoseconds, no ticks)."""
    return sum(_threads_ns(member) for member in family(pid))


def machine_ns() -> int:
    """Give the busy time of all processors together, in steps of a tick."""
    first = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0]
    ticks = [int(column) for column in first.split()[1:9]]
    return (sum(ticks) - ticks[_IDLE] - ticks[_WAITING]) * _TICK_NS


def memory(pid: int) -> Memory:
    """Give the resident memory of a process, now and at its highest."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = {name: int(kib) * 1024 for name, kib in re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", status, re.MULTILINE)}
    return Memory(found["VmRSS"], found["VmHWM"])


def family(pid: int) -> list[int]:
    """Give a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            children.setdefault(_parent(entry), []).append(int(entry.name))
    members = [pid]
    for member in members:
        members.extend(children.get(member, []))
    return members


def settle(pid: int, within: float) -> bool:
    """Wait until a process has worked off what it was handed; say whether it did within so many seconds."""
    deadline = time.monotonic() + within
    before = processor_ns(pid)
    while time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY)
        now = processor_ns(pid)
        if now - before < _SETTLED_NS:
            return True
        before = now
    return False


def _threads_ns(pid: int) -> int:
    total = 0
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text(encoding="utf-8").split()[0])
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return total
    return total


def _parent(entry: Path) -> int:
    try:
        # The name, in parentheses, may hold anything: what counts comes after the last one.
        return int((entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
