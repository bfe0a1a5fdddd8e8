"""masthead's programs only look: the helpers that they call, the values that they return, and what they write to."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.capture import Capture, masthead
from tests.e2e.namespaces import run

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel

READING = {
    "for_each_map_elem",
    "get_attach_cookie",
    "get_current_comm",
    "get_current_pid_tgid",
    "get_current_task",
    "get_current_task_btf",
    "get_current_cgroup_id",
    "get_netns_cookie",
    "get_smp_processor_id",
    "get_socket_cookie",
    "ktime_get_boot_ns",
    "ktime_get_ns",
    "probe_read_kernel",
    "probe_read_kernel_str",
    "probe_read_user",
    "sk_cgroup_id",
    "sk_fullsock",
    "skb_cgroup_id",
    "skb_load_bytes",
    "skb_load_bytes_relative",
    "skc_to_tcp6_sock",
    "sock_from_file",
    "skc_to_tcp_request_sock",
    "skc_to_tcp_sock",
    "skc_to_tcp_timewait_sock",
    "tcp_sock",
    "loop",
    "strncmp",
}
"""Helpers that change nothing (bpf-helpers(7))."""

OURS = {
    "map_lookup_elem",
    "map_lookup_percpu_elem",
    "map_update_elem",
    "map_delete_elem",
    "ringbuf_discard",
    "ringbuf_output",
    "ringbuf_query",
    "ringbuf_reserve",
    "ringbuf_submit",
    "seq_write",
    "sk_storage_delete",
    "sk_storage_get",
    "spin_lock",
    "spin_unlock",
    "task_storage_get",
}
"""Helpers that change only maps and iterator output of our own."""

CONSTANT_EXITS = {"CgroupSkb": {"1"}, "CgroupSock": {"1"}, "SchedCls": {"-1"}}
"""What lets a packet or a socket pass as if nobody looked, per type of program; tracing programs return 0."""


INLINED = {
    "for_each_hash_elem",
    "get_attach_cookie_trace",
    "get_attach_cookie_uprobe_multi",
    "get_socket_ptr_cookie",
    "sk_storage_get_tracing",
    "task_storage_get_recur",
}
"""Names under which the verifier shows helpers that it replaced by others of the same effect."""


def bare(helper: str) -> str:
    return helper.removeprefix("bpf_")


@pytest.fixture(scope="module")
def programs() -> list[dict[str, Any]]:
    done = subprocess.run(
        [*masthead(), "doctor", "--programs", "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    entries: list[dict[str, Any]] = found["programs"] if isinstance(found, dict) else found
    assert entries
    return entries


def test_every_helper_of_every_program_reads_or_writes_to_our_own_maps(programs: list[dict[str, Any]]) -> None:
    foreign = {entry["name"]: more for entry in programs if (more := set(map(bare, entry["helpers"])) - READING - OURS)}
    assert foreign == {}


def test_every_exit_is_the_constant_that_lets_all_pass(programs: list[dict[str, Any]]) -> None:
    for entry in programs:
        assert entry["exits"], entry
        assert set(entry["exits"]) == CONSTANT_EXITS.get(entry["type"], {"0"}), entry


def test_no_program_stores_to_its_context(programs: list[dict[str, Any]]) -> None:
    assert {entry["name"]: entry["context_stores"] for entry in programs} == {entry["name"]: 0 for entry in programs}


def test_both_directions_and_the_process_hooks_are_there(programs: list[dict[str, Any]]) -> None:
    hooks = " ".join(f"{entry['type']} {entry['attach']}" for entry in programs)
    assert "cgroup_skb" in hooks
    assert "ingress" in hooks
    assert "egress" in hooks
    assert "uprobe" in hooks
    assert "uretprobe" in hooks
    assert not [word for word in ("kprobe", "fentry", "fexit", "lsm", "sk_msg", "sk_skb") if word in hooks]


def held_by(pid: int) -> set[int]:
    """Ids of the programs that a process holds, by its descriptors."""
    texts = []
    for file in Path(f"/proc/{pid}/fdinfo").iterdir():
        # One that is open for a moment only, as an iterator's is, may be gone by now.
        with suppress(FileNotFoundError):
            texts.append(file.read_text())
    return {int(number) for text in texts for number in re.findall(r"^prog_id:\s*(\d+)$", text, re.MULTILINE)}


def loaded() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("bpftool", "--json", "prog", "show"))
    return found


@pytest.fixture
def held(capture_with: Callable[..., Capture]) -> dict[str, tuple[str, str]]:
    """Type and translated code of each program that a running masthead holds, by name, as bpftool shows them."""
    capture = capture_with()
    mine = [entry for entry in loaded() if entry["id"] in held_by(capture.child.pid)]
    code = {}
    for entry in mine:
        text = run("bpftool", "prog", "dump", "xlated", "id", str(entry["id"]))
        code[entry.get("name", "")] = entry["type"], text
    capture.finish()
    return code


def test_what_the_kernel_holds_calls_only_helpers_that_change_nothing_of_others(
    programs: list[dict[str, Any]], held: dict[str, tuple[str, str]]
) -> None:
    names = {entry["name"][:15] for entry in programs}
    mine = {name: text for name, (_, text) in held.items() if name[:15] in names}
    assert mine, f"none of {names} among {set(held)}"
    for name, text in mine.items():
        foreign = set(re.findall(r"call bpf_(\w+)#", text)) - READING - OURS - INLINED
        assert not foreign, name


def test_the_packet_programs_that_the_kernel_holds_end_only_with_one(held: dict[str, tuple[str, str]]) -> None:
    code = [text for kind, text in held.values() if kind == "cgroup_skb"]
    assert len(code) >= 2
    for text in code:
        # The program itself comes first; the functions that it calls follow under headings of their own.
        parts = re.split(r"^\w.*:\s*$", text.strip(), flags=re.MULTILINE)
        body = next(part for part in parts if "exit" in part)
        ends = re.findall(r"\(..\) (.+)\n.*\(95\) exit", body)
        assert ends
        assert set(ends) <= {"r0 = 1", "w0 = 1"}, ends
