"""bpf(2), as far as a benchmark needs it: run-time statistics, and a program that does nothing.

All three objects are held by file descriptors, so they are gone with the process that made them, whatever ends it.
Numbers and layouts: `enum bpf_cmd` and `union bpf_attr` in the kernel's include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import struct
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SYSCALL = {"x86_64": 321, "aarch64": 280}
_PROG_LOAD, _LINK_CREATE, _ENABLE_STATS = 5, 28, 32
_CGROUP_SKB, _INGRESS, _EGRESS = 8, 0, 1
_STATS_RUN_TIME = 0

# r0 = 1; exit: what lets a packet pass, and nothing else.
_PASS = struct.pack("<BBhi", 0xB7, 0, 0, 1) + struct.pack("<BBhi", 0x95, 0, 0, 0)

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Runs:
    """What `bpf_stats` counted: runs of programs, and the time in them."""

    time_ns: int = 0
    count: int = 0

    def __add__(self, other: Runs) -> Runs:
        return Runs(self.time_ns + other.time_ns, self.count + other.count)

    def __sub__(self, other: Runs) -> Runs:
        return Runs(self.time_ns - other.time_ns, self.count - other.count)


@contextmanager
def run_time_statistics() -> Iterator[None]:
    """Have the kernel time every run of every program (`BPF_ENABLE_STATS`) until the block ends."""
    descriptor = _bpf(_ENABLE_STATS, struct.pack("<I", _STATS_RUN_TIME))
    try:
        yield
    finally:
        os.close(descriptor)


def programs_of(pid: int) -> Runs:
    """Add up the statistics of the programs that a process holds."""
    found: dict[str, Runs] = {}
    for text in _descriptors(pid):
        number = re.search(r"^prog_id:\s+(\d+)$", text, re.MULTILINE)
        if number and "run_cnt:" in text:  # a link's entry names its program too, without figures
            found[number[1]] = _statistics(text)
    return sum(found.values(), Runs())


def attached(pid: int) -> bool:
    """Say whether a process has attached programs."""
    return any("link_id:" in text for text in _descriptors(pid))


@contextmanager
def empty_pair() -> Iterator[Callable[[], Runs]]:
    """Attach programs that do nothing where masthead's are, and give what reads their statistics.

    Their run time is what `bpf_stats` itself costs under the load of the moment, and so what it adds to every program.
    """
    root = os.open(cgroup2(), os.O_RDONLY | os.O_DIRECTORY)
    with ExitStack() as stack:
        stack.callback(os.close, root)
        programs = []
        for hook in (_INGRESS, _EGRESS):
            program = _load(hook)
            stack.callback(os.close, program)
            stack.callback(os.close, _bpf(_LINK_CREATE, struct.pack("<IIII", program, root, hook, 0)))
            programs.append(Path(f"/proc/self/fdinfo/{program}"))
        yield lambda: sum((_statistics(place.read_text(encoding="utf-8")) for place in programs), Runs())


def _load(hook: int) -> int:
    instructions = ctypes.create_string_buffer(_PASS, len(_PASS))
    licence = ctypes.create_string_buffer(b"Dual BSD/GPL")
    attributes = struct.pack(
        "<IIQQIIQII16sII",
        _CGROUP_SKB,
        len(_PASS) // 8,
        ctypes.addressof(instructions),
        ctypes.addressof(licence),
        *(0, 0, 0, 0, 0),  # log level, size and buffer; kernel version; flags
        b"empty",
        0,  # interface
        hook,  # expected_attach_type
    )
    return _bpf(_PROG_LOAD, attributes)


def cgroup2() -> Path:
    """Find where the second version of control groups is mounted."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, *_ = line.split(" ")
        if kind == "cgroup2":
            return Path(place)
    raise FileNotFoundError("no cgroup2 is mounted: mount -t cgroup2 none /some/folder")


def _statistics(text: str) -> Runs:
    fields = dict(re.findall(r"^(run_time_ns|run_cnt):\s+(\d+)$", text, re.MULTILINE))
    return Runs(int(fields["run_time_ns"]), int(fields["run_cnt"]))


def _descriptors(pid: int) -> Iterator[str]:
    try:
        entries = list(Path(f"/proc/{pid}/fdinfo").iterdir())
    except FileNotFoundError:
        return
    for entry in entries:
        try:
            yield entry.read_text(encoding="utf-8")
        except OSError:  # closed meanwhile
            continue


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    descriptor: int = _libc.syscall(_SYSCALL[platform.machine()], command, buffer, len(attributes))
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"bpf(2), command {command}: {os.strerror(number)}; this needs root")
    return descriptor
