"""A real S3 server: Versity's gateway over a folder, installed as a Go command where there is Go."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.processes import running
from tests.e2e.servers import free_port
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
# Kept with the environment, and removed with it.
BINARY = Path(__file__).parents[2] / ".venv" / "peers" / "versitygw"
BUILD_SECONDS = 900
KEY, SECRET = "test-key", "test-secret-of-the-gateway"


@dataclass
class S3:
    """A running server.

    Attributes:
        endpoint: Its address.
        folder: What it keeps: a folder for each bucket, a file for each object.
        pid: Its process.
    """

    endpoint: str
    folder: Path
    pid: int

    def objects(self, bucket: str) -> dict[str, bytes]:
        """What is in a bucket, from the server's own files."""
        root = self.folder / bucket
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def installed() -> Path:
    """Install the server, once."""
    if BINARY.exists():
        return BINARY
    if not shutil.which("go"):
        pytest.skip("needs go to install a real S3 server")
    environment = {**os.environ, "GOBIN": str(BINARY.parent)}
    done = subprocess.run(
        ["go", "install", PACKAGE], env=environment, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS
    )
    if done.returncode:
        pytest.skip(f"a real S3 server could not be installed: {done.stderr.strip().splitlines()[-1]}")
    return BINARY


@contextmanager
def serving(folder: Path, port: int | None = None) -> Iterator[S3]:
    """Run the server over a folder."""
    port = port or free_port()
    files = folder / "buckets"
    files.mkdir(parents=True, exist_ok=True)
    command = [str(installed()), "--port", f"127.0.0.1:{port}", "posix", str(files)]
    with running(command, folder / "said", ROOT_ACCESS_KEY=KEY, ROOT_SECRET_KEY=SECRET) as child:
        wait_for(lambda: _answers(port), "the S3 server answers")
        yield S3(f"http://127.0.0.1:{port}", files, child.pid)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
