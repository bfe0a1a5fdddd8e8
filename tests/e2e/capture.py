"""`masthead run` as its users run it: a child process, rows on stdout, words on stderr, signals in."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from signal import Signals
from typing import Any, Self

from tests.e2e.processes import leashed
from tests.e2e.waiting import DEADLINE, Lines

Row = dict[str, Any]
Ledger = dict[str, int]
"""Counts by section and name, as `kernel.refused:ring_full`."""

READY = b"Ctrl-C stops"
"""What the line on stderr says once programs are attached."""

BALANCED = "everything is accounted for"


def masthead() -> list[str]:
    """Return the command of the masthead that belongs to this Python."""
    script = Path(sysconfig.get_path("scripts")) / "masthead"
    return [str(script)] if script.exists() else [sys.executable, "-m", "masthead"]


def run_command(directory: Path, *more: str) -> list[str]:
    """Return `masthead run` with NDJSON on stdout and a configuration whose state lies in `directory`."""
    config = directory / "masthead.toml"
    if not config.exists():
        config.write_text(settings(directory))
    return [*masthead(), "run", "--config", str(config), "--output", "ndjson", "--headers", "pairs", *more]


def settings(directory: Path, more: str = "") -> str:
    """Return a configuration that keeps all state in `directory`."""
    key, tail, spool = directory / "key", directory / "tail.sock", directory / "spool"
    own = f'[redact]\nkey_file = "{key}"\n[output]\ntail_socket = "{tail}"\n[delivery]\nspool = "{spool}"\n'
    return f"{more}{own}"


class Capture:
    """One `masthead run`, ready when constructed; `finish` ends it and checks its ledger."""

    def __init__(self, directory: Path, *more: str, prefix: tuple[str, ...] = (), output: Path | None = None) -> None:
        self.directory = directory
        self._output = output
        self._rows: Lines | None = None
        command = [*leashed("KILL"), *prefix, *run_command(directory, *more)]
        if output is None:
            self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert self.child.stdout is not None
            self._rows = Lines(self.child.stdout)
        else:
            with output.open("wb") as file:
                self.child = subprocess.Popen(command, stdout=file, stderr=subprocess.PIPE)
        assert self.child.stderr is not None
        self.words = Lines(self.child.stderr)
        self.ledger: Ledger | None = None
        try:
            self.words.wait(lambda lines: any(READY in line for line in lines), "the line that says ready")
        except AssertionError:
            self.kill()
            raise

    def said(self, text: str) -> None:
        """Wait until stderr has a line with this text."""
        wanted = text.encode()
        self.words.wait(lambda lines: any(wanted in line for line in lines), f"{text!r} on stderr")

    def wait_rows(self, port: int, count: int, end: str | None = None, deadline: float = DEADLINE) -> list[Row]:
        """Wait until that many rows with this server port (and of this role) have come, and return them."""
        assert self._rows is not None

        def enough(lines: list[bytes]) -> list[Row] | None:
            rows = [row for row in of_port(lines, port) if end in {None, row["masthead"]["role"]}]
            return rows if len(rows) >= count else None

        return self._rows.wait(enough, f"{count} rows with server port {port}", deadline)

    def send(self, number: Signals) -> None:
        """Send a signal to masthead."""
        self.child.send_signal(number)

    def finish(self, port: int | None = None, number: Signals = Signals.SIGINT) -> list[Row]:
        """End the run, check that the ledger closes, and return the rows with this server port (None: all)."""
        self.send(number)
        status = self.child.wait(DEADLINE)
        lines = self._all_rows()
        words = b"".join(self.words.finish()).decode(errors="replace")
        assert status == 0, f"exit {status}:\n{words}"
        assert "Traceback" not in words, words
        self.ledger = check_ledger(words)
        return of_port(lines, port)

    def _all_rows(self) -> list[bytes]:
        if self._rows is not None:
            return self._rows.finish()
        assert self._output is not None
        with self._output.open("rb") as file:
            return file.readlines()

    def kill(self) -> None:
        """End the run by force."""
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.words.finish()
        if self._rows is not None:
            self._rows.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self.ledger is None:
            if kind is None and self.child.poll() is None:
                self.finish()
            else:
                self.kill()


def of_port(lines: list[bytes], port: int | None) -> list[Row]:
    """Return the rows of one server port; whatever else the machine does meanwhile is none of a test's business."""
    wanted = b"" if port is None else b'"port":%d' % port
    # Only what may be meant is parsed: the machine may be busy with other things.
    rows: list[Row] = [json.loads(line) for line in lines if wanted in line]
    # A line about losses is no row: it has no ends.
    return [row for row in rows if "server" in row and port in {None, row["server"].get("port")}]


def ledgers(words: str) -> list[tuple[Ledger, bool]]:
    """Return each account that stderr shows, and whether it says that it adds up."""
    found: list[tuple[Ledger, bool]] = []
    counts: Ledger | None = None
    for line in words.splitlines():
        if line.removeprefix("masthead: ") == "ledger":
            counts = {}
        elif counts is not None and not line.startswith("  "):
            counts = None
        elif counts is not None and re.search(r" [0-9]", line):
            section, *rest = line.split()
            counts |= {
                f"{section}.{name}": int(count.replace(",", ""))
                for name, count in zip(rest[::2], rest[1::2], strict=True)
            }
        elif counts is not None:
            found.append((counts, line.strip() == BALANCED))
            counts = None
    return found


def check_ledger(words: str) -> Ledger:
    """Fail unless the last account on stderr adds up, by its own word and by ours; return it."""
    accounts = ledgers(words)
    assert accounts, f"no ledger on stderr:\n{words}"
    counts, balanced = accounts[-1]
    assert balanced, words
    refused, failed = total(counts, "kernel.refused:"), total(counts, "records.failed:")
    assert counts["kernel.seen"] == counts["kernel.submitted"] + refused, words
    assert counts["kernel.submitted"] == counts["records.consumed"], words
    records = [counts[f"records.{name}"] for name in ("used", "duplicate", "not_http")]
    assert counts["records.consumed"] == sum(records) + failed, words
    rows = [counts[f"rows.{name}"] for name in ("written", "open", "filtered", "sampled_out", "failed_at_sink")]
    assert counts["rows.opened"] == sum(rows), words
    return counts


def total(counts: Ledger, prefix: str) -> int:
    """Sum the counts whose names begin so."""
    return sum(count for name, count in counts.items() if name.startswith(prefix))


def lost(counts: Ledger) -> int:
    """Return how much is missing from the log although it should be there."""
    return sum(
        total(counts, name) for name in ("kernel.refused", "records.failed", "rows.failed_at_sink", "notes.gaps")
    )
