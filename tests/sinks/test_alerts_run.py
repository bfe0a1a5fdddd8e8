"""`masthead run` with rules: real calls that fail fire an alert, and whom it concerns is told."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from signal import Signals
from typing import TYPE_CHECKING

import pytest

from tests.e2e.capture import settings
from tests.e2e.servers import SPECS, serving
from tests.e2e.waiting import wait_for
from tests.unit.test_delivery_http import Answering
from tests.unit.test_delivery_http import serving as answering

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.capture import Capture

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.sinks,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

RULE = """
[[group]]
name = "calls"
[[group.rule]]
alert = "Missing"
expr = 'status_ratio("404"){{server_port="{port}"}}[10s] > {limit}%'
labels = {{ severity = "page" }}
"""


def call(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_calls_that_fail_fire_an_alert(tmp_path: Path, capture_with: Callable[..., Capture]) -> None:
    folder, rules = tmp_path / "nginx", tmp_path / "rules.toml"
    folder.mkdir()
    with answering(Answering()) as hook, serving(SPECS[0], folder) as nginx:
        rules.write_text(RULE.format(port=nginx.port, limit=99))
        (tmp_path / "masthead.toml").write_text(
            settings(tmp_path)
            + f'[alerts]\nrules = ["{rules}"]\nstate = "{tmp_path / "alerts"}"\ninterval = "1s"\ngrace = "1s"\n'
            + f'group_wait = "0s"\n[[alerts.webhook]]\nname = "hook"\nurl = "{hook.url}"\n'
        )
        capture = capture_with("--role", "server", directory=tmp_path)

        def told() -> bool:
            assert call(nginx.port, "/missing") == 404
            assert call(nginx.port, "/there") == 200
            return bool(hook.asked)

        # Half of the calls fail: not enough for this rule, but for the next.
        capture.said("Ctrl-C stops")
        assert not told()
        rules.write_text(RULE.format(port=nginx.port, limit=10))
        capture.send(Signals.SIGHUP)
        capture.said("settings read again")
        wait_for(told, "the hook is told", 60)
        capture.finish()
    (_, _, body), *_ = hook.asked
    (alert,) = json.loads(body)["alerts"]
    assert alert["status"] == "firing"
    assert alert["labels"]["alertname"] == "Missing"
    assert alert["labels"]["severity"] == "page"
    kept = [file.read_text() for file in (tmp_path / "alerts").iterdir() if file.is_file()]
    assert any("Missing" in text for text in kept)
