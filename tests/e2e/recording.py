"""What goes over one port of the loopback interface, recorded by tcpdump; and what tshark makes of it."""

from __future__ import annotations

import json
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.e2e.processes import end
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LAST = b"that is all"


@contextmanager
def recorded(file: Path, port: int) -> Iterator[None]:
    """Record what goes over the port until the block ends, all of it."""
    log = file.with_suffix(".log")
    command = ["tcpdump", "-i", "lo", "-U", "-B", "32768", "-w", str(file), "port", str(port)]
    with log.open("wb") as words:
        child = subprocess.Popen(command, stderr=words)
    try:
        wait_for(lambda: b"listening on" in log.read_bytes(), "tcpdump listens")
        yield
        # What comes last in the file was behind everything else on the wire.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(_LAST, ("127.0.0.1", port))
        wait_for(lambda: _LAST in file.read_bytes()[-256:], "tcpdump has written everything")
    finally:
        end(child)
    assert b"\n0 packets dropped" in log.read_bytes(), log.read_text()


def tshark(file: Path, keylog: Path | None) -> list[dict[str, Any]]:
    """The HTTP/1 messages that Wireshark's dissector sees, in the order of the file."""
    fields = [
        "tcp.stream",
        "http.request.method",
        "http.request.uri",
        "http.request.line",
        "http.response.code",
        "http.response.line",
    ]
    options = ["-o", f"tls.keylog_file:{keylog}"] if keylog else []
    command = ["tshark", "-n", "-r", str(file), *options, "-Y", "http", "-T", "json"]
    for name in fields:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, check=True, timeout=120)
    return [packet["_source"]["layers"] for packet in json.loads(done.stdout or b"[]")]
