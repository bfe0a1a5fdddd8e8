"""What this host is and allows, read from /proc and /sys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# linux/capability.h
CAPABILITIES = {"CAP_BPF": 39, "CAP_NET_ADMIN": 12, "CAP_PERFMON": 38, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21}
NEEDED = ("CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON")

__all__ = ["CAPABILITIES", "NEEDED", "Host"]


@dataclass(frozen=True, slots=True)
class Host:
    """A view of /proc and /sys.

    Attributes:
        root: Where they are looked for; another directory in tests.
    """

    root: Path = Path("/")

    def text(self, path: str) -> str | None:
        """Give a file's text without white space around it; `None` where it is absent or closed to us."""
        data = self.data(path)
        return None if data is None else data.decode(errors="replace").strip()

    def data(self, path: str) -> bytes | None:
        """Give a file's bytes; `None` where it is absent or closed to us."""
        try:
            return (self.root / path.lstrip("/")).read_bytes()
        except OSError:
            return None

    def kernel(self) -> tuple[int, int] | None:
        """Give the kernel's version."""
        found = re.match(r"(\d+)\.(\d+)", self.text("/proc/sys/kernel/osrelease") or "")
        return (int(found[1]), int(found[2])) if found else None

    def capabilities(self) -> set[str]:
        """Give those capabilities of this process that matter here.

        CAP_SYS_ADMIN stands in for CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (`bpf_capable` and its like in linux/bpf.h).
        """
        found = re.search(r"^CapEff:\s*([0-9a-f]+)$", self.text("/proc/self/status") or "", re.MULTILINE)
        bits = int(found[1], 16) if found else 0
        held = {name for name, bit in CAPABILITIES.items() if bits & (1 << bit)}
        return held | set(NEEDED) if "CAP_SYS_ADMIN" in held else held

    def missing_capabilities(self) -> list[str]:
        """Give the capabilities that capturing needs and this process lacks."""
        held = self.capabilities()
        return [name for name in NEEDED if name not in held]

    def cgroup2(self) -> str | None:
        """Give where cgroup2 is mounted, in a hybrid hierarchy too."""
        for line in (self.text("/proc/self/mounts") or "").splitlines():
            _, place, kind, *_ = (*line.split(" "), "", "", "")
            if kind == "cgroup2":
                return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place)
        return None
