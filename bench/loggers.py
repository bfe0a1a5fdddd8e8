"""What watches the traffic while it is measured: masthead, and the tools that people use today."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bench import kernel, meters
from bench.children import ChildFailedError, await_true, child, end
from masthead.store.layout import listing

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

Running: TypeAlias = "AbstractContextManager[Logger]"

MASTHEAD = Path(sys.executable).parent / "masthead"
_WORK_OFF_WITHIN = 5.0


@dataclass(slots=True)
class Logger:
    """A running logger.

    Attributes:
        process: The process that was started; its descendants count as well.
        said: Where its output goes.
        wrote: The file that it writes rows to, if it does.
        rows: Once it has ended, how many exchanges it logged; `None` where it can't be told.
        gaps: How many of these rows have bytes missing, where that can be told.
        ledger: Once it has ended, masthead's account, by dotted name.
        closed: Whether that account adds up.
        resident: Highest resident memory of the first process, bytes.
        stored: Bytes and rows of the parts that it made, where it keeps a store; the rest waits in a journal.
        behind: It still had work when the time to finish was over.
    """

    process: subprocess.Popen[bytes]
    said: Path
    wrote: Path | None = None
    rows: int | None = None
    gaps: int = 0
    ledger: dict[str, int] = field(default_factory=dict)
    closed: bool = False
    resident: int = 0
    stored: tuple[int, int] = (0, 0)
    behind: bool = False

    def processor_ns(self) -> int:
        """CPU time of its processes so far."""
        return meters.processor_ns(self.process.pid)

    def programs(self) -> kernel.Runs:
        """Run time of its BPF programs so far."""
        return kernel.programs_of(self.process.pid)

    def finish(self) -> None:
        """Let it work off what it has seen, and note its memory."""
        self.behind = not meters.settle(self.process.pid, _WORK_OFF_WITHIN)
        self.resident = meters.memory(self.process.pid).highest


@contextmanager
def masthead(folder: Path, arguments: Sequence[str | Path] = ()) -> Iterator[Logger]:
    """Run masthead's service, for the server's end of calls, until the block ends; then read its account."""
    said, settings = folder / "masthead.log", folder / "masthead.toml"
    settings.write_text(
        f'[redact]\nkey_file = "{folder}/key"\n[output]\ntail_socket = "{folder}/tail"\n', encoding="utf-8"
    )
    command = [MASTHEAD, "run", "--config", settings, "--role", "server", *arguments]
    with child(command, said) as process:
        logger = Logger(process, said)
        await_true(process, lambda: "capturing" in said.read_text(encoding="utf-8", errors="replace"), said)
        yield logger
        end(process)
    text = said.read_text(encoding="utf-8", errors="replace")
    logger.ledger, logger.closed = _ledger(text)
    if process.returncode or "rows.written" not in logger.ledger:
        raise ChildFailedError(f"masthead ended with {process.returncode} and says: {text.strip()[-800:]}")
    logger.rows = logger.ledger["rows.written"]


@contextmanager
def masthead_silent(folder: Path, port: int) -> Iterator[Logger]:  # noqa: ARG001 - it watches every port
    """Capture, parse and redact, and throw the rows away."""
    with masthead(folder, ["--output", "none"]) as logger:
        yield logger


@contextmanager
def masthead_ndjson(folder: Path, port: int) -> Iterator[Logger]:
    """Write every row to a file as NDJSON."""
    file = folder / "rows.ndjson"
    with masthead(folder, ["--file", file]) as logger:
        yield logger
    # Others on this machine may speak HTTP too.
    logger.rows = _lines(file, b'"port":%d' % port)
    logger.gaps = _lines(file, b'"port":%d' % port, b'"gap"')
    file.unlink()


@contextmanager
def masthead_store(folder: Path, port: int) -> Iterator[Logger]:  # noqa: ARG001 - it watches every port
    """Keep every row in a store."""
    root = folder / "store"
    with masthead(folder, ["--output", "none", "--store", root]) as logger:
        yield logger
    parts = listing(root).parts
    logger.stored = sum(part.bytes for part in parts), sum(part.rows for part in parts)


@contextmanager
def tcpdump(folder: Path, port: int) -> Iterator[Logger]:
    """Write all packets to a file; heads are not taken apart."""
    file = folder / "packets.pcap"
    command = ["tcpdump", "-i", "lo", "-Z", "root", "-w", str(file), "tcp", "port", str(port)]
    with _rival(command, folder / "tcpdump.log", lambda text: "listening on" in text) as logger:
        yield logger
    file.unlink(missing_ok=True)


@contextmanager
def httpry(folder: Path, port: int) -> Iterator[Logger]:
    """Write one line for each request and each response."""
    file = folder / "httpry.txt"
    command = ["httpry", "-i", "lo", "-o", str(file), f"tcp port {port}"]
    with _rival(command, folder / "httpry.log", lambda _: file.exists()) as logger:
        yield logger
        end(logger.process)
    logger.rows = _lines(file, b"\t>\t")
    file.unlink()


@contextmanager
def tshark(folder: Path, port: int) -> Iterator[Logger]:
    """Write nine fields of each request and response."""
    fields = "frame.time_epoch ip.src http.request.method http.request.uri http.response.code http.time http.host"
    shown = [word for name in [*fields.split(), "http.user_agent", "http.accept"] for word in ("-e", name)]
    command = ["tshark", "-i", "lo", "-f", f"tcp port {port}", "-d", f"tcp.port=={port},http", "-Y", "http", "-n", "-l"]
    # Its captured packets go to a temporary file as well.
    command = ["env", f"TMPDIR={folder}", *command, "-T", "fields", *shown]
    said = folder / "tshark.txt"
    with _rival(command, said, lambda text: "Capturing on" in text) as logger:
        yield logger
        end(logger.process)
    logger.rows = _lines(said, b"\tGET\t")


@contextmanager
def sslsniff(folder: Path, port: int) -> Iterator[Logger]:  # noqa: ARG001 - it looks at every process
    """Print plaintext of OpenSSL as bpfcc-tools does, beginning and process of each piece."""
    with _rival(
        ["sslsniff-bpfcc", "--no-gnutls", "--no-nss"], folder / "sslsniff.txt", lambda t: "FUNC" in t
    ) as logger:
        yield logger


@contextmanager
def _rival(command: list[str], said: Path, ready: Callable[[str], bool]) -> Iterator[Logger]:
    with child(command, said) as process:
        await_true(process, lambda: ready(said.read_text(encoding="utf-8", errors="replace")), said)
        yield Logger(process, said)


def _ledger(text: str) -> tuple[dict[str, int], bool]:
    counts: dict[str, int] = {}
    for section, line in re.findall(r"^\s+(kernel|records|rows|notes)\s+(.*)$", text, re.MULTILINE):
        for name, count in re.findall(r"([a-z_:]+) (-?[\d,]+)", line):
            counts[f"{section}.{name.replace(':', '.')}"] = int(count.replace(",", ""))
    return counts, "everything is accounted for" in text


def _lines(file: Path, *having: bytes) -> int:
    with file.open("rb") as rows:
        return sum(all(part in row for part in having) for row in rows)
