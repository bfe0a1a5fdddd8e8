from pathlib import Path

import pytest

from masthead.host import Host
from masthead.host.checks import TRACEPOINTS, Check, checks

READY = {
    "proc/sys/kernel/osrelease": "6.8.0-31-generic\n",
    "proc/self/status": "Name:\tx\nCapEff:\t000001ffffffffff\n",
    "proc/self/mounts": "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/uni\\040fied cgroup2 rw 0 0\n",
    "proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    4096000 kB\n",
    "proc/sys/net/core/bpf_jit_enable": "1\n",
    "proc/sys/net/mptcp/enabled": "0\n",
    "proc/net/unix": "Num RefCount\n",
    "sys/kernel/btf/vmlinux": "".join(f"btf_trace_{name}\0" for name in TRACEPOINTS),
    "sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
}


def look(root: Path, **changes: str | None) -> dict[str, Check]:
    files: dict[str, str | None] = {**READY}
    files |= {next(path for path in READY if path.endswith(name)): text for name, text in changes.items()}
    for path, text in files.items():
        if text is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    return {check.name: check for check in checks(Host(root), 16 << 20)}


def test_on_a_host_that_is_ready_all_is_well(tmp_path: Path) -> None:
    assert {check.state for check in look(tmp_path).values()} == {"ok"}


def test_a_host_that_shows_nothing_is_not_ready_and_never_an_exception(tmp_path: Path) -> None:
    found = {check.name: check for check in checks(Host(tmp_path), 4096)}
    assert {name for name, check in found.items() if check.state == "missing"} == {
        "kernel",
        "capabilities",
        "cgroup2",
        "BTF",
    }
    assert all(check.remedy for check in found.values() if check.state != "ok")


@pytest.mark.parametrize(("release", "state"), [("5.16.9", "missing"), ("5.17.0-rc1", "ok"), ("10.0", "ok")])
def test_the_kernel_must_know_bpf_loop(tmp_path: Path, release: str, state: str) -> None:
    assert look(tmp_path, osrelease=release)["kernel"].state == state


@pytest.mark.parametrize(
    ("bits", "missing"),
    [
        (0, "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON"),
        (1 << 39 | 1 << 12, "CAP_PERFMON"),
        (1 << 21, ""),
        (1 << 39 | 1 << 12 | 1 << 38, ""),
    ],
)
def test_missing_capabilities_are_named(tmp_path: Path, bits: int, missing: str) -> None:
    check = look(tmp_path, status=f"CapEff:\t{bits:016x}\n")["capabilities"]
    assert (check.detail if check.state == "missing" else "") == missing


def test_cgroup2_is_found_in_a_hybrid_hierarchy(tmp_path: Path) -> None:
    look(tmp_path)
    assert Host(tmp_path).cgroup2() == "/sys/fs/cgroup/uni fied"


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("lockdown", "none integrity [confidentiality]", "lockdown"),
        ("meminfo", "MemAvailable: 20000 kB", "ring buffer"),
        ("bpf_jit_enable", "0", "BPF JIT"),
        ("enabled", "1", "MPTCP"),
        ("status", f"CapEff:\t{1 << 39 | 1 << 12 | 1 << 38:x}", "executables"),
        ("vmlinux", "btf_trace_sched_process_exec\0btf_trace_inet_sock_set_state\0", "tracepoints"),
    ],
)
def test_a_limit_is_a_note(tmp_path: Path, file: str, text: str, name: str) -> None:
    check = look(tmp_path, **{file: text})[name]
    assert (check.state, bool(check.remedy)) == ("note", True)


def test_a_gateways_unix_socket_is_named_and_others_are_not(tmp_path: Path) -> None:
    text = (
        "Num RefCount Protocol Flags Type St Inode Path\n"
        "0: 00000002 00000000 00010000 0001 01 1 /run/php/php8.2-fpm.sock\n"
        "0: 00000003 00000000 00000000 0001 03 2 /run/nginx-connected.sock\n"
        "0: 00000002 00000000 00010000 0001 01 3 /run/dbus/system_bus_socket\n"
        "0: 00000002 00000000 00010000 0001 01 4\n"
    )
    check = look(tmp_path, unix=text)["Unix sockets"]
    assert check.detail == "calls over /run/php/php8.2-fpm.sock are not seen"
