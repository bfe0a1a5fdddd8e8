"""The life of `masthead run`: signals, outputs that fail, a second instance, and what stays behind (nothing)."""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING

import pytest

from tests.e2e.capture import Capture, check_ledger, ledgers, lost, run_command, settings, total
from tests.e2e.namespaces import run
from tests.e2e.raw_server import RawServer, echo
from tests.e2e.rows import both_ends, request_fields, targets
from tests.e2e.test_framing import get
from tests.e2e.waiting import DEADLINE, Lines, wait_for
from tests.e2e.wire import Conn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e


def calls(port: int, count: int, more: str = "") -> None:
    """Make that many calls on one connection."""
    with Conn.connect("127.0.0.1", port) as client:
        for number in range(count):
            client.call(get(f"/{number}", more))


@pytest.mark.parametrize("number", [Signals.SIGINT, Signals.SIGTERM])
def test_a_signal_ends_the_run_with_every_row_and_a_closed_ledger(capture: Capture, number: Signals) -> None:
    with RawServer(echo) as server:
        calls(server.port, 50)
        # At once: the last rows are still on their way.
        rows = capture.finish(server.port, number)
    assert len(both_ends(rows)) == 50
    assert capture.ledger is not None
    assert lost(capture.ledger) == 0, capture.ledger
    assert capture.ledger["rows.written"] >= 100


def test_rows_come_while_it_runs(capture: Capture) -> None:
    with RawServer(echo) as server:
        calls(server.port, 5)
        assert len(capture.wait_rows(server.port, 10)) == 10


def test_sigusr1_prints_the_ledger_and_the_run_goes_on(capture: Capture) -> None:
    with RawServer(echo) as server:
        calls(server.port, 3)
        capture.wait_rows(server.port, 6)
        capture.send(Signals.SIGUSR1)
        capture.said("accounted for")
        first = ledgers(capture.words.text())[-1][0]
        assert first["rows.written"] >= 6
        calls(server.port, 2)
        assert len(both_ends(capture.finish(server.port))) == 5
    assert capture.ledger is not None
    assert capture.ledger["rows.written"] >= first["rows.written"] + 4


def test_sighup_puts_a_good_file_in_force_and_leaves_a_bad_one_alone(capture: Capture) -> None:
    file = capture.directory / "masthead.toml"
    with RawServer(echo) as server:
        calls(server.port, 1, "X-Secret-Plan: a\r\nX-Tenant: acme\r\n")
        capture.wait_rows(server.port, 2)
        file.write_text(settings(capture.directory, '[request]\ndeny = ["x-tenant"]\n'))
        capture.send(Signals.SIGHUP)
        capture.said("settings read again")
        calls(server.port, 1, "X-Tenant: acme\r\n")
        capture.wait_rows(server.port, 4)
        file.write_text(settings(capture.directory, '[request]\ndney = ["x-tenant"]\n'))
        capture.send(Signals.SIGHUP)
        capture.said("settings stay as they were")
        assert "dney" in capture.words.text()
        calls(server.port, 1, "X-Tenant: acme\r\n")
        pairs = both_ends(capture.finish(server.port))
    served = sorted((server for server, _ in pairs), key=lambda row: str(row["time"]))
    assert [["X-Tenant", "acme"] in request_fields(row) for row in served] == [True, False, False]


def test_a_second_instance_sees_the_same_and_disturbs_nothing(capture_with: Callable[..., Capture]) -> None:
    with RawServer(echo) as server:
        first = capture_with()
        calls(server.port, 2)
        second = capture_with()
        calls(server.port, 3)
        one = both_ends(first.finish(server.port))
        calls(server.port, 1)
        other = both_ends(second.finish(server.port))
    assert len(one) == 5
    assert len(other) == 4


def test_its_own_words_and_rows_never_log_themselves(capture: Capture) -> None:
    with RawServer(echo) as server:
        calls(server.port, 1)
        capture.finish(server.port)
    assert f"masthead-{os.getpid()}" not in capture.words.text()


def attached() -> set[str]:
    """Every program that a cgroup has, with its place: what `bpftool cgroup tree` shows."""
    found: set[str] = set()
    root = next(line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines() if " cgroup2 " in line)
    place = ""
    for line in run("bpftool", "cgroup", "tree", root).splitlines():
        if line.startswith("/"):
            place = line.strip()
        elif re.match(r"\s*\d", line):
            found.add(f"{place} {' '.join(line.split())}")
    return found


def loaded(table: str) -> set[tuple[int, str]]:
    """Id and name of every loaded program (`prog`) or map (`map`) that masthead may have made."""
    entries = json.loads(run("bpftool", "--json", table, "show"))
    return {(entry["id"], entry.get("name", "")) for entry in entries}


@pytest.mark.parametrize("number", [Signals.SIGKILL, Signals.SIGINT])
def test_nothing_stays_attached_however_it_ends(capture_with: Callable[..., Capture], number: Signals) -> None:
    before = attached(), loaded("prog"), loaded("map"), loaded("link")
    capture = capture_with()
    assert attached() > before[0]
    during = loaded("prog")
    with RawServer(echo) as server:
        calls(server.port, 1)
        if number == Signals.SIGKILL:
            capture.kill()
        else:
            capture.finish()
        calls(server.port, 1)
    ours = during - before[1]
    assert ours
    wait_for(lambda: not ours & loaded("prog"), f"the programs are gone: {ours}")
    wait_for(lambda: attached() <= before[0], "nothing is attached")
    wait_for(lambda: not {name for _, name in loaded("map") - before[2]} & {name for _, name in ours}, "no map is left")


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """A file system of that size."""
    directory.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory))
    try:
        yield directory
    finally:
        run("umount", str(directory))


def test_a_full_disk_costs_the_rows_that_do_not_fit_and_says_so(
    capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk, RawServer(echo) as server:
        log = disk / "log.ndjson"
        capture = capture_with("--file", str(log))
        calls(server.port, 300, f"X-Long: {'v' * 200}\r\n")
        capture.said("No space left on device")
        (disk / "log.ndjson").write_bytes(b"")
        calls(server.port, 5)
        capture.finish()
        lines = log.read_bytes().splitlines()
    assert capture.ledger is not None
    assert capture.ledger["rows.failed_at_sink"] > 0
    whole = [json.loads(line) for line in lines]
    assert len([row for row in whole if "url" in row and row["server"]["port"] == server.port]) >= 10


def test_a_reader_that_leaves_ends_or_outlives_nothing_and_the_ledger_closes(tmp_path: Path) -> None:
    read, write = os.pipe()
    with RawServer(echo) as server:
        child = subprocess.Popen(run_command(tmp_path), stdout=write, stderr=subprocess.PIPE)
        os.close(write)
        assert child.stderr is not None
        words = Lines(child.stderr)
        try:
            words.wait(lambda lines: any(b"Ctrl-C" in line for line in lines), "ready")
            os.close(read)
            calls(server.port, 20)

            def noticed() -> bool:
                return child.poll() is not None or "Broken pipe" in words.text()

            wait_for(noticed, "the closed pipe was noticed")
            if child.poll() is None:
                child.send_signal(Signals.SIGINT)
            child.wait(DEADLINE)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        text = b"".join(words.finish()).decode()
    assert "Traceback" not in text
    counts = check_ledger(text)
    assert counts["rows.failed_at_sink"] >= 1
    assert total(counts, "rows.failed_at_sink") <= counts["rows.opened"]


def test_rows_appended_to_a_file_are_whole_lines_and_sighup_opens_it_anew(
    capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    log = tmp_path / "log.ndjson"
    capture = capture_with("--file", str(log))
    with RawServer(echo) as server:

        def written() -> bool:
            return log.exists() and len(log.read_bytes().splitlines()) >= 8

        calls(server.port, 4)
        wait_for(written, "eight rows in the file")
        log.rename(tmp_path / "log.1")
        capture.send(Signals.SIGHUP)
        capture.said("settings read again")
        calls(server.port, 4)
        capture.finish()
    for file in (log, tmp_path / "log.1"):
        rows = [json.loads(line) for line in file.read_bytes().splitlines()]
        mine = [row for row in rows if row["server"]["port"] == server.port]
        assert sorted(targets(mine)) == sorted(f"/{number}" for number in range(4) for _ in range(2))
    assert capture.ledger is not None
    assert capture.ledger["rows.failed_at_sink"] == 0
