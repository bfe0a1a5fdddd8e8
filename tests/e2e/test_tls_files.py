"""Probes stand where a file's functions are now, whatever its path led to before and whatever others make of it."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.processes import executable
from tests.e2e.rows import quality, role, targets
from tests.e2e.servers import APPS, Server, Spec, build_go
from tests.e2e.test_doctor_tls import told_of
from tests.e2e.test_tls import again_until_seen, ask, config, one_call, started
from tests.e2e.tls_servers import NGINX_TLS, make_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.capture import Capture

pytestmark = pytest.mark.e2e

PROGRAM = """
package main

import (
	"net/http"
	"os"
	MORE
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok")) })
	panic(http.ListenAndServeTLS("127.0.0.1:"+os.Args[1], os.Args[2], os.Args[3], nil))
}
"""
MORE = '_ "encoding/xml"\n\t_ "text/template"'
"""What moves the functions of the program to other places."""
FAKE = """
int SSL_read(void) { return 1; }
int SSL_write(void) { return 2; }
"""
SYSTEM_PYTHON = "/usr/bin/python3"
"""One that everybody may run."""
POISONER = """
import ctypes, subprocess, sys
library, fake = sys.argv[1:]
ctypes.CDLL(library)
subprocess.run(["mount", "--bind", fake, library], check=True)
print("ready", flush=True)
sys.stdin.read()
"""


def build(folder: Path, name: str, more: str = "") -> Path:
    """Build the server; with `more` its code lies elsewhere."""
    source = folder / f"source-{name}"
    source.mkdir()
    (source / "main.go").write_text(PROGRAM.replace("MORE", more))
    (source / "go.mod").write_text("module server\n\ngo 1.20\n")
    build_go(source, folder / name)
    return folder / name


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_program_that_was_written_over_is_watched_where_its_functions_are_now(
    capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    one, two = build(tmp_path, "one"), build(tmp_path, "two", MORE)
    program = tmp_path / "server"
    shutil.copy(one, program)

    def command(directory: Path, port: int) -> list[str]:
        return [str(program), str(port), *map(str, make_certificate(directory))]

    capture = capture_with(directory=config(tmp_path / "capture"))
    with contextmanager(started)(Spec("go", ("go", "openssl"), command), tmp_path / "first") as server:
        again_until_seen(capture, server, lambda: one_call(server, "/orders/one"))
    number = program.stat().st_ino
    with program.open("wb") as file:
        file.write(two.read_bytes())
    assert program.stat().st_ino == number
    with contextmanager(started)(Spec("go", ("go", "openssl"), command), tmp_path / "second") as server:
        again_until_seen(capture, server, lambda: one_call(server, "/orders/two"))
        for _ in range(3):
            one_call(server, "/orders/three")
        rows = role(capture.finish(server.port), "server")
    assert targets(rows[-3:]) == ["/orders/three"] * 3
    assert [quality(row) for row in rows[-3:]] == [[]] * 3


def libssl() -> str:
    """Where this process has its OpenSSL."""
    import ssl  # noqa: F401, PLC0415 - it is loaded by that

    for line in Path("/proc/self/maps").read_text().splitlines():
        if "/libssl.so" in line:
            return line.split()[-1]
    pytest.skip("Python's OpenSSL is linked in")


@contextmanager
def poisoned(library: str, fake: Path) -> Iterator[None]:
    """Run a process of nobody, in which the path of the library that it has mapped leads to another file."""
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "--user", "--map-root-user"]
    command += ["--mount", SYSTEM_PYTHON, "-c", POISONER, library, str(fake)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        if child.stdout.readline() != "ready\n":
            pytest.skip("users can't make namespaces of their own here")
        try:
            yield
        finally:
            child.communicate(timeout=20)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.skipif(not Path(SYSTEM_PYTHON).exists(), reason=f"there is no {SYSTEM_PYTHON}")
def test_a_user_does_not_choose_where_probes_stand_in_others_processes(
    capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    # Where nobody can read it.
    folder = Path("/var/tmp") / f"masthead-{os.getpid()}"
    folder.mkdir()
    try:
        fake = folder / "fake.so"
        (folder / "fake.c").write_text(FAKE)
        subprocess.run(["gcc", "-shared", "-o", fake, folder / "fake.c"], check=True, timeout=60)
        # Nobody else has this one mapped, so it is the user's that is looked at first.
        library = str(shutil.copy(libssl(), folder / Path(libssl()).name))

        def command(directory: Path, port: int) -> list[str]:
            return ["env", f"LD_PRELOAD={library}", *NGINX_TLS.command(directory, port)]

        with poisoned(library, fake):
            capture = capture_with(directory=config(tmp_path / "capture"))
            with contextmanager(started)(Spec("nginx", NGINX_TLS.needs, command), tmp_path / "server") as server:
                again_until_seen(capture, server, lambda: one_call(server, "/orders/one"))
                one_call(server, "/orders/two")
                rows = role(capture.finish(server.port), "server")
    finally:
        shutil.rmtree(folder)
    assert targets(rows[-1:]) == ["/orders/two"]
    assert quality(rows[-1]) == []


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Server]:
    yield from started(NGINX_TLS, tmp_path / "server")


def test_a_client_that_has_another_root_is_seen(
    nginx: Server, capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    own = Path(executable(os.getpid())).name
    capture = capture_with(directory=config(tmp_path / "rooted", f'listening = false\nprocesses = ["{own}"]'))
    jail = tmp_path / "jail"
    jail.mkdir()
    command = [sys.executable, str(APPS / "chroots.py"), str(nginx.port), str(jail)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        again_until_seen(capture, nginx, partial(ask, child), "client")
        child.communicate()
    rows = role(capture.finish(nginx.port), "client")
    assert quality(rows[-1]) == []


def test_a_name_that_is_no_text_hides_no_process(tmp_path: Path) -> None:
    program = os.fsencode(tmp_path) + b"/abcdefghijklmn\xd0\x96"
    Path(os.fsdecode(program)).symlink_to(sys.executable)
    code = "import ssl, sys; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen([program, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"ready\n"
        # Cut in the middle of a character.
        assert Path(f"/proc/{child.pid}/comm").read_bytes() == b"abcdefghijklmn\xd0\n"
        assert told_of(child.pid)
        child.communicate(timeout=20)


def test_a_device_where_a_library_was_is_not_opened(tmp_path: Path) -> None:
    # The kernel writes the name with `\\012` in it: another path, where anything can be put.
    library, other = tmp_path / "a\nb", tmp_path / "a\\012b"
    shutil.copy(libssl(), library)
    os.mkfifo(other)
    code = f"import ctypes, sys; ctypes.CDLL({str(library)!r}); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"ready\n"
        # It waits until somebody opens the other end.
        with subprocess.Popen(["sh", "-c", 'exec 3>"$0"; echo opened', str(other)], stdout=subprocess.PIPE) as writer:
            told_of(child.pid)
            assert writer.stdout
            opened, _, _ = select.select([writer.stdout], [], [], 0.5)
            writer.kill()
        assert not opened
        child.communicate(timeout=20)
