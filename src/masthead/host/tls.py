"""Which processes speak TLS, and whether the plaintext inside can be seen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

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


def asked(tls: Tls) -> str:
    """Give the settings as the extension's `tls_processes` wants them."""
    return json.dumps({"enabled": tls.enabled, "listening": tls.listening, "processes": list(tls.processes)})


def speakers(report: str) -> tuple[list[Speaker], int]:
    """Read its answer: the processes that speak TLS, and how many could not be looked into."""
    told = json.loads(report)
    return [Speaker(**entry) for entry in told["processes"]], int(told["closed"])
