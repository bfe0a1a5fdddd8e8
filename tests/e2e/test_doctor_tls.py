"""`masthead doctor` names each process with a TLS library in it, with symbols or without, and no other one."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from ctypes.util import find_library
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.capture import masthead

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e

LISTENING = "import socket; listener = socket.create_server(('127.0.0.1', 0)); "
WAITING = "print('ready', flush=True); import sys; sys.stdin.read()"
LINKED = "a TLS library is linked in, without the symbols that probes need"
PROGRAM = """
#include <stdio.h>
static const char *const labels[] = LABELS;
int main(int argc, char **argv)
{
	puts(argc > 1 ? labels[argc - 2] : "ready");
	fflush(stdout);
	getchar();
}
"""
"""What it is given as labels is in its data, as it would be in that of a library."""


@contextmanager
def waiting(*command: str) -> Iterator[int]:
    """Run a program until it has said that it is ready, and give its process id."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child.pid
        child.communicate(timeout=20)


def told_of(pid: int) -> list[dict[str, Any]]:
    """What doctor says of a process."""
    done = subprocess.run([*masthead(), "doctor", "--json"], capture_output=True, text=True, timeout=60, check=False)
    report = json.loads(done.stdout)
    assert report["tls_searched"]["files"] > 0
    return [entry for entry in report["tls"] if entry["pid"] == pid]


def importing(module: str) -> tuple[str, ...]:
    """Give a Python program that has loaded a module."""
    if importlib.util.find_spec(module.split(".", maxsplit=1)[0]) is None:
        pytest.skip(f"{module} is not installed")
    return sys.executable, "-c", f"import {module}; {WAITING}"


def loading(*names: str, then: str = WAITING) -> tuple[str, ...]:
    """Give a Python program that has loaded libraries, and what it does then."""
    missing = [name for name in names if not find_library(name)]
    if missing:
        pytest.skip(f"{missing} are not installed")
    files = [find_library(name) for name in names]
    return sys.executable, "-c", f"import ctypes; [ctypes.CDLL(name) for name in {files}]; {then}"


def holding(directory: Path, *labels: str) -> str:
    """Build a program with these texts in it."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    source, program = directory / "holding.c", directory / "holding"
    source.write_text(PROGRAM.replace("LABELS", "{" + ", ".join(f'"{label}"' for label in labels) + "}"))
    subprocess.run(["gcc", "-o", program, source], check=True, timeout=60)
    subprocess.run(["strip", program], check=True, timeout=60)
    return str(program)


def test_boringssl_inside_grpc_is_named_although_it_has_no_symbols() -> None:
    with waiting(*importing("grpc._cython.cygrpc")) as pid:
        entries = told_of(pid)
    (entry,) = [entry for entry in entries if "cygrpc" in entry["file"]]
    assert (entry["library"], entry["seen"], entry["why"]) == ("boringssl", False, LINKED)


def test_rustls_is_named() -> None:
    with waiting(*importing("obstore")) as pid:
        entries = told_of(pid)
    (entry,) = [entry for entry in entries if "_obstore" in entry["file"]]
    assert (entry["library"], entry["seen"]) == ("rustls", False)
    assert entry["why"].startswith("rustls is not followed")


@pytest.mark.parametrize(
    "labels",
    [("c hs traffic", "s hs traffic"), ("client finished", "server finished", "key expansion")],
    ids=["TLS 1.3", "TLS 1.2"],
)
def test_a_library_that_is_not_known_is_told_by_the_labels_of_the_protocol(
    labels: tuple[str, ...], tmp_path: Path
) -> None:
    program = holding(tmp_path, *labels)
    with waiting(program) as pid:
        (entry,) = told_of(pid)
    assert (entry["library"], entry["why"], entry["file"]) == ("unknown", LINKED, program)


def test_one_label_alone_says_nothing(tmp_path: Path) -> None:
    with waiting(holding(tmp_path, "c hs traffic", "key expansion", "client finished")) as pid:
        assert told_of(pid) == []


def test_what_only_dissects_tls_is_not_named() -> None:
    with waiting(*loading("wireshark", "softokn3")) as pid:
        files = {entry["file"].rsplit("/", 1)[-1] for entry in told_of(pid)}
    assert not [name for name in files if "wireshark" in name or "softokn" in name]


def test_of_nss_it_says_what_is_not_seen_all_the_same() -> None:
    with waiting(*loading("ssl3", "nspr4", then=LISTENING + WAITING)) as pid:
        (entry,) = [entry for entry in told_of(pid) if entry["library"] == "nss"]
    assert (entry["seen"], entry["why"]) == (True, "")
    assert "imported before" in entry["limits"]

    with waiting(*loading("ssl3", "nspr4")) as pid:
        (entry,) = [entry for entry in told_of(pid) if entry["library"] == "nss"]
    assert not entry["seen"]
    assert "tls.processes" in entry["why"]
    assert entry["limits"] == ""
