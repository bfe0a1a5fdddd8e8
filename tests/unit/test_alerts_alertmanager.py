"""Debian's Alertmanager, on loopback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from masthead.alerts.notify.alertmanager import Alertmanager
from masthead.alerts.notify.notice import Notice, Told
from masthead.alerts.notify.post import RefusedError
from masthead.config.alerts import HttpReceiver
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECOND = 1_000_000_000


def receiver(url: str) -> Alertmanager:
    return Alertmanager(HttpReceiver.model_validate({"name": "ops", "url": url}))


def notice(*alerts: Told, at_ns: int) -> Notice:
    return Notice("ops", {}, alerts, at_ns, "http://here.example/alerts")


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """Debian's Alertmanager; gives its URL."""
    program = shutil.which("prometheus-alertmanager")
    if not program:
        pytest.skip("prometheus-alertmanager is not installed (apt-get install prometheus-alertmanager)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "am.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    command = [program, f"--config.file={tmp_path}/am.yml", f"--storage.path={tmp_path}/data"]
    command += [f"--web.listen-address={address}", "--cluster.listen-address="]
    with (tmp_path / "am.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            wait_for(lambda: ready(f"http://{address}/-/ready"), "Alertmanager is ready")
            yield f"http://{address}"
        finally:
            server.terminate()


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def known(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/api/v2/alerts?active=true", timeout=5) as answer:
        return {alert["labels"]["route"]: alert for alert in json.load(answer)}


def test_alertmanager_learns_of_alerts_and_of_their_end(alertmanager: str) -> None:
    now = time.time_ns()
    one = Told({"alertname": "Slow", "route": "/a"}, {"summary": "slow"}, 1.5, now - 60 * SECOND)
    other = Told({"alertname": "Slow", "route": "/b"}, {}, 1.5, now - 60 * SECOND)
    masthead = receiver(alertmanager)
    masthead.deliver(notice(one, other, at_ns=now))
    wait_for(lambda: len(known(alertmanager)) == 2, "both alerts are known")
    found = known(alertmanager)
    assert found["/a"]["annotations"] == {"summary": "slow"}
    assert found["/a"]["generatorURL"] == "http://here.example/alerts"
    over = Told(other.labels, {}, 1.5, other.begin_ns, now - 30 * SECOND)
    masthead.deliver(notice(one, over, at_ns=now))
    wait_for(lambda: set(known(alertmanager)) == {"/a"}, "the end of one is known")


def test_alertmanager_refuses_what_is_no_alert(alertmanager: str) -> None:
    with pytest.raises(RefusedError, match="400"):
        receiver(alertmanager).deliver(notice(Told({"no label": "x"}, {}, 1, 0), at_ns=time.time_ns()))
