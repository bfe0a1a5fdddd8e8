"""What `masthead run` needs, exactly as documented: four capabilities, one of them only for executables' names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.capture import Capture, masthead, run_command
from tests.e2e.processes import executable
from tests.e2e.raw_server import RawServer, echo
from tests.e2e.rows import assert_request, both_ends, quality, role, targets
from tests.e2e.servers import SPECS, serving
from tests.e2e.test_framing import get
from tests.e2e.tls_servers import NGINX_TLS, connect
from tests.e2e.wire import Conn, Head

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not installed"),
]

NOBODY = 65534
CAPTURE = ("bpf", "net_admin", "perfmon")
DOCUMENTED = (*CAPTURE, "sys_ptrace")


def with_only(*capabilities: str, user: int = 0) -> tuple[str, ...]:
    """A prefix that runs a command as this user with exactly these capabilities."""
    names = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    sets = (f"--inh-caps={names}", f"--ambient-caps={names}", f"--bounding-set={names}")
    return ("setpriv", f"--reuid={user}", "--clear-groups", *sets, "--no-new-privs")


def reading() -> tuple[str, ...]:
    """What a user needs on top merely to reach this Python, where it lies in a directory of root's."""
    command = [*with_only(user=NOBODY), sys.executable, "-c", "import masthead._native"]
    done = subprocess.run(command, capture_output=True, check=False)
    return () if done.returncode == 0 else ("dac_read_search",)


def refused(directory: Path, *capabilities: str, user: int) -> str:
    """Run without enough capabilities and return what it says."""
    command = [*with_only(*capabilities, user=user), *run_command(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory that any user can reach and write to."""
    directory = tmp_path / "nobody"
    directory.mkdir()
    directory.chmod(0o777)
    # pytest keeps its directories to root.
    for parent in [*list(tmp_path.parents)[:2], tmp_path]:
        parent.chmod(parent.stat().st_mode | 0o055)
    return directory


@pytest.mark.parametrize("user", [0, NOBODY])
def test_without_capabilities_it_says_once_what_is_missing_and_exits_with_3(place: Path, user: int) -> None:
    said = refused(place, *(reading() if user else ()), user=user)
    assert said.count("masthead: ") == 1
    for name in ("CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"):
        assert name in said
    assert "Traceback" not in said


@pytest.mark.parametrize("missing", CAPTURE)
def test_one_missing_capability_is_named_and_no_other(place: Path, missing: str) -> None:
    rest = [name for name in DOCUMENTED if name != missing]
    said = refused(place, *rest, user=0)
    assert f"CAP_{missing.upper()}" in said
    assert not [name for name in rest if f"CAP_{name.upper()}" in said]


@pytest.mark.parametrize("user", [0, NOBODY])
def test_the_documented_capabilities_are_enough(
    capture_with: Callable[..., Capture], place: Path, tmp_path: Path, user: int
) -> None:
    extra = reading() if user else ()
    capture = capture_with(prefix=with_only(*DOCUMENTED, *extra, user=user), directory=place)
    (tmp_path / "server").mkdir()
    nginx = SPECS[0]
    if missing := nginx.missing():
        pytest.skip(f"{missing} is not installed")
    with serving(nginx, tmp_path / "server") as server:
        with Conn.connect("127.0.0.1", server.port) as client:
            client.call(get("/orders/1"))
        files = server.executables()
        ((served, called),) = both_ends(capture.finish(server.port))
    assert_request(served, Head(get("/orders/1")))
    assert quality(served) == quality(called) == []
    assert called["process"]["pid"] == os.getpid()
    assert called["process"]["executable"]["path"] == executable(os.getpid())
    assert served["process"]["executable"]["path"] == files[served["process"]["pid"]]


@pytest.mark.parametrize("capabilities", [DOCUMENTED, CAPTURE], ids=["with", "without"])
def test_cap_sys_ptrace_decides_whether_tls_of_others_is_seen(
    capture_with: Callable[..., Capture], place: Path, tmp_path: Path, capabilities: tuple[str, ...]
) -> None:
    if missing := NGINX_TLS.missing():
        pytest.skip(f"{missing} is not installed")
    (tmp_path / "server").mkdir()
    with serving(NGINX_TLS, tmp_path / "server") as server, RawServer(echo) as plain:
        prefix = with_only(*capabilities, *reading(), user=NOBODY)
        capture = capture_with(prefix=prefix, directory=place)
        with connect(server) as client:
            client.call(get("/orders/1"))
        with Conn.connect("127.0.0.1", plain.port) as other:
            other.call(get("/2"))
        doctor = [*prefix, *masthead(), "doctor", "--json", "--config", str(place / "masthead.toml")]
        done = subprocess.run(doctor, capture_output=True, text=True, check=False)
        report = json.loads(done.stdout)
        nginx = set(server.executables())
        rows = capture.finish(None)
    seen = "sys_ptrace" in capabilities
    found = [row for row in role(rows, "server") if row["server"].get("port") == server.port]
    assert targets(found) == ["/orders/1"] * seen
    assert len([row for row in rows if row["server"].get("port") == plain.port]) == 2
    assert {entry["pid"] for entry in report["tls"] if entry["seen"]} & nginx == (nginx if seen else set())
    if not seen:
        (tls,) = [check for check in report["checks"] if check["name"] == "TLS"]
        assert (tls["state"], tls["remedy"]) == ("note", "add CAP_SYS_PTRACE")


def test_without_cap_sys_ptrace_only_the_executable_is_missing_and_a_mark_says_so(
    capture_with: Callable[..., Capture], place: Path
) -> None:
    with RawServer(echo) as server:
        capture = capture_with(prefix=with_only(*CAPTURE, *reading(), user=NOBODY), directory=place)
        with Conn.connect("127.0.0.1", server.port) as client:
            client.call(get("/1"))
        rows = capture.finish(server.port)
    for name in ("server", "client"):
        (row,) = role(rows, name)
        assert_request(row, Head(get("/1")))
        assert row["process"]["pid"] == os.getpid()
        assert "executable" not in row["process"]
        assert quality(row) == ["process_unknown"]
