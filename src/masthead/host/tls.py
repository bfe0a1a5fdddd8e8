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
        library: `openssl`, `boringssl`, `gnutls`, `nss`, `go`, `java` or another one that could be recognised
            (`rustls`, `mbedtls`, ...), several with commas between them where one file has them; `unknown` where there
            is one and nothing names it.
        file: Where the library is, as the process sees it.
        listens: Whether it holds a listening TCP socket.
        seen: Whether its plaintext is seen under these settings.
        why: Why not; empty when it is.
        limits: What of it is not seen all the same; empty where nothing is known to be missing.
    """

    pid: int
    name: str
    executable: str | None
    library: str
    file: str
    listens: bool
    seen: bool
    why: str
    limits: str


@dataclass(frozen=True, slots=True)
class Searched:
    """What it took to search files for TLS libraries that have no symbols.

    Attributes:
        files: Files searched, each once.
        bytes: Bytes of them that are mapped when they run.
        skipped: Files that could not be searched: too large, or closed to us.
        ms: Milliseconds that the search took.
    """

    files: int
    bytes: int
    skipped: int
    ms: int


@dataclass(frozen=True, slots=True)
class Survey:
    """The processes that have a TLS library, and how thorough the look was.

    Attributes:
        speakers: One for each process and library.
        closed: Processes that could not be looked into.
        searched: The search for libraries without symbols.
    """

    speakers: list[Speaker]
    closed: int
    searched: Searched


def asked(tls: Tls) -> str:
    """Give the settings as the extension's `tls_processes` wants them."""
    return json.dumps({"enabled": tls.enabled, "listening": tls.listening, "processes": list(tls.processes)})


def survey(report: str) -> Survey:
    """Read its answer."""
    told = json.loads(report)
    speakers = [Speaker(**entry) for entry in told["processes"]]
    return Survey(speakers, int(told["closed"]), Searched(**told["searched"]))
