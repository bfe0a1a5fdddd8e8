"""Is this host ready? One answer for each thing that capturing depends on, with the remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from masthead.host import NEEDED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masthead.host import Host

# bpf_loop came with 5.17.
OLDEST_KERNEL = (5, 17)
TRACEPOINTS = ("inet_sock_set_state", "sched_process_exec", "sock_recv_length")
# Programs that are often put behind a Unix socket by a proxy, as their socket's path shows.
_GATEWAYS = re.compile(
    r"apinto|apisix|caddy|envoy|fpm|gunicorn|haproxy|httpd|kong|nginx|openresty|passenger|puma|traefik|unicorn|uvicorn|uwsgi"
)
_LISTENING = 0x10000  # __SO_ACCEPTCON, linux/net.h
_MOST_SOCKETS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One answer.

    Attributes:
        name: What was looked at.
        state: `ok`; `missing`: capturing can't work; `note`: it works, with this limit.
        detail: What was found.
        remedy: What to do; empty where there is nothing to be done.
    """

    name: str
    state: str
    detail: str
    remedy: str = ""


def checks(host: Host, ring_bytes: int) -> Iterator[Check]:
    """Look at everything that capturing depends on, what is necessary first."""
    yield kernel(host)
    yield capabilities(host)
    yield ptrace(host)
    yield cgroup2(host)
    yield btf(host)
    yield lockdown(host)
    yield memory(host, ring_bytes)
    yield memlock(host)
    yield from tracepoints(host)
    yield jit(host)
    yield mptcp(host)
    yield unix_sockets(host)


def kernel(host: Host) -> Check:
    """Look at the kernel's version."""
    version, text = host.kernel(), host.text("/proc/sys/kernel/osrelease") or "unknown"
    if version and version >= OLDEST_KERNEL:
        return Check("kernel", "ok", text)
    return Check(
        "kernel", "missing", f"{text}; 5.17 or later is needed", "boot a later kernel (bpf_loop came with 5.17)"
    )


def capabilities(host: Host) -> Check:
    """Look for the capabilities without which nothing can be loaded."""
    missing = host.missing_capabilities()
    if not missing:
        return Check("capabilities", "ok", ", ".join(NEEDED))
    remedy = "run as root (sudo), or give the service AmbientCapabilities= with these"
    return Check("capabilities", "missing", ", ".join(missing), remedy)


def ptrace(host: Host) -> Check:
    """Look for the capability that executable names of other users' processes need."""
    if "CAP_SYS_PTRACE" in host.capabilities():
        return Check("executables", "ok", "CAP_SYS_PTRACE")
    return Check("executables", "note", "without CAP_SYS_PTRACE some executables stay unknown", "add CAP_SYS_PTRACE")


def cgroup2(host: Host) -> Check:
    """Look for the cgroup2 hierarchy that the programs are attached to."""
    place = host.cgroup2()
    if place:
        return Check("cgroup2", "ok", f"mounted at {place}")
    return Check("cgroup2", "missing", "not mounted", "mkdir -p /run/cgroup2 && mount -t cgroup2 none /run/cgroup2")


def btf(host: Host) -> Check:
    """Look for the kernel's own types, by which the programs fit themselves to it."""
    if host.data("/sys/kernel/btf/vmlinux"):
        return Check("BTF", "ok", "/sys/kernel/btf/vmlinux")
    return Check("BTF", "missing", "no /sys/kernel/btf/vmlinux", "boot a kernel with CONFIG_DEBUG_INFO_BTF=y")


def lockdown(host: Host) -> Check:
    """Look at kernel lockdown; integrity does not matter here."""
    found = re.search(r"\[(\w+)\]", host.text("/sys/kernel/security/lockdown") or "")
    level = found[1] if found else "none"
    if level == "confidentiality":
        return Check(
            "lockdown", "note", "confidentiality: process names may stay unknown", "lockdown=integrity is enough"
        )
    return Check("lockdown", "ok", level if found else "not reported by this kernel")


def memory(host: Host, ring_bytes: int) -> Check:
    """Look whether the ring buffer fits."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", host.text("/proc/meminfo") or "", re.MULTILINE)
    ring = f"{ring_bytes / (1 << 20):g} MiB"
    if found and int(found[1]) << 10 < 2 * ring_bytes:
        return Check(
            "ring buffer", "note", f"{ring}, and little more memory is free", "set a smaller capture.ring_bytes"
        )
    return Check("ring buffer", "ok", ring)


def memlock(host: Host) -> Check:
    """Look whether locked memory limits BPF maps; since 5.11 it does not."""
    version = host.kernel()
    if version and version >= (5, 11):
        return Check("memlock", "ok", "no limit: this kernel charges BPF memory to the cgroup")
    return Check("memlock", "note", "this kernel limits BPF memory by RLIMIT_MEMLOCK", "ulimit -l unlimited")


def tracepoints(host: Host) -> Iterator[Check]:
    """Look for the tracepoints that name a socket's process."""
    types = host.data("/sys/kernel/btf/vmlinux") or b""
    missing = [name for name in TRACEPOINTS if f"btf_trace_{name}\0".encode() not in types]
    if not missing:
        yield Check("tracepoints", "ok", ", ".join(TRACEPOINTS))
    for name in missing:
        yield Check("tracepoints", "note", f"no {name}: the owners of some sockets stay unknown", "boot a later kernel")


def jit(host: Host) -> Check:
    """Look whether programs are compiled; interpreted ones are several times slower."""
    value = host.text("/proc/sys/net/core/bpf_jit_enable")
    if value == "0":
        return Check(
            "BPF JIT", "note", "off: capturing costs several times more", "sysctl -w net.core.bpf_jit_enable=1"
        )
    # Where CONFIG_BPF_JIT_ALWAYS_ON is set the file may be closed to us, and it is on.
    return Check("BPF JIT", "ok", "on" if value else "always on, or not readable")


def mptcp(host: Host) -> Check:
    """Look for Multipath TCP, whose subflows are not followed."""
    if host.text("/proc/sys/net/mptcp/enabled") == "1":
        detail = "enabled: calls over MPTCP sockets are not seen"
        return Check("MPTCP", "note", detail, "sysctl -w net.mptcp.enabled=0, if programs here use it")
    return Check("MPTCP", "ok", "not in use")


def unix_sockets(host: Host) -> Check:
    """Name Unix sockets that look like a gateway's upstream: what passes there is not TCP."""
    found = []
    for line in (host.text("/proc/net/unix") or "").splitlines()[1:]:
        # Num RefCount Protocol Flags Type St Inode Path; sockets without a name lack the last.
        _, _, _, flags, _, _, _, path = (*line.split(maxsplit=7), "")[:8]
        if path and int(flags, 16) & _LISTENING and _GATEWAYS.search(path):
            found.append(path)
    if not found:
        return Check("Unix sockets", "ok", "none that looks like a gateway's upstream")
    more = f" and {len(found) - _MOST_SOCKETS_SHOWN} more" if len(found) > _MOST_SOCKETS_SHOWN else ""
    detail = f"calls over {', '.join(found[:_MOST_SOCKETS_SHOWN])}{more} are not seen"
    return Check("Unix sockets", "note", detail, "let them listen on 127.0.0.1 if those calls matter")
