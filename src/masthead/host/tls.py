"""Which processes speak TLS, and whether the plaintext inside can be seen."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from masthead.extension import native

if TYPE_CHECKING:
    from masthead.config.model import Tls


@dataclass(frozen=True, slots=True)
class Speaker:
    """One process and one TLS library in it.

    Attributes:
        pid: Process id, as this process sees it.
        name: Its name, 15 bytes at most.
        executable: Path of the file that it runs; `None` where it is closed to us.
        library: `openssl`, `boringssl`, `gnutls`, `nss`, `go` or `java`.
        file: Where the library is, as the process sees it.
        listens: Whether it holds a listening TCP socket.
        seen: Whether its plaintext is seen under these settings.
        why: Why not; empty when it is.
    """

    pid: int
    name: str
    executable: str | None
    library: str
    file: str
    listens: bool
    seen: bool
    why: str


def speakers(tls: Tls) -> tuple[list[Speaker], int]:
    """Look at every process; give those that speak TLS, and how many could not be looked into."""
    options = {"enabled": tls.enabled, "listening": tls.listening, "processes": list(tls.processes)}
    report = json.loads(native().tls_processes(json.dumps(options), [os.getpid()]))
    return [Speaker(**entry) for entry in report["processes"]], int(report["closed"])
