"""Syslog into a real rsyslogd: over TCP and UDP, every row arrives as it was sent."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from masthead.commands.sending import open_sinks
from masthead.config import Config
from masthead.delivery import Again
from masthead.sinks.syslog import SyslogSender
from tests.e2e.processes import running
from tests.e2e.servers import free_port, listening
from tests.e2e.waiting import wait_for
from tests.sinks.rows import made
from tests.unit.stored import BEGIN_NS
from tests.unit.test_sinks_file import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.sinks,
    pytest.mark.skipif(shutil.which("rsyslogd") is None, reason="rsyslogd is not installed"),
]

CONFIG = """
global(maxMessageSize="64k" workDirectory="{folder}")
module(load="imtcp")
module(load="imudp")
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="rows")
input(type="imudp" address="127.0.0.1" port="{port}" ruleset="rows")
template(name="line" type="string" string="%pri% %hostname% %app-name% %msgid%%msg%\\n")
ruleset(name="rows") {{ action(type="omfile" file="{folder}/rows" template="line") }}
"""
ROWS = 2_000


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    chosen, config = free_port(), tmp_path / "rsyslog.conf"
    config.write_text(CONFIG.format(folder=tmp_path, port=chosen))
    command = ["rsyslogd", "-n", "-f", str(config), "-i", str(tmp_path / "pid")]
    with running(command, tmp_path / "rsyslog.log"):
        wait_for(lambda: listening(chosen), "rsyslogd listens")
        yield chosen


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_every_row_arrives(port: int, tmp_path: Path, transport: str) -> None:
    table = {"kind": "syslog", "address": f"127.0.0.1:{port}", "transport": transport, "batch_rows": 50}
    config = Config.model_validate({"sink": [table], "delivery": {"spool": str(tmp_path / "spool")}})
    (sink,) = open_sinks(config)
    rows = ROWS if transport == "tcp" else 50  # a datagram may be lost, when many come at once
    for batch in made(rows, BEGIN_NS):
        sink.write(batch)
    file = tmp_path / "rows"
    wait_for(lambda: file.exists() and file.read_bytes().count(b"\n") == rows, "all rows are there")
    sink.close()
    assert sink.account.sent == rows
    found = set()
    for line in file.read_text().splitlines():
        priority, _, app, rest = line.split(" ", 3)
        row = json.loads(rest[rest.index("{") :])
        status = row["http"]["response"]["status_code"]
        assert int(priority) == 16 * 8 + (3 if status >= 500 else 4 if status >= 400 else 6)
        assert (app, rest.split("{")[0].strip()) == ("masthead", "exchange")
        found.add(row["masthead"]["exchange_id"])
    assert found == {f"r-{number}" for number in range(rows)}


def test_nobody_there_is_a_reason_to_wait() -> None:
    for place, transport in (("127.0.0.1:1", "tcp"), ("/none/log", "tcp")):
        outcome = SyslogSender(place, transport).send(load(0))
        assert isinstance(outcome, Again)
        assert place in outcome.reason
