from __future__ import annotations

import json
from pathlib import Path

import pytest

from masthead.alerts.opening import open_alerts
from masthead.config.alerts import Alerts
from masthead.errors import ConfigError
from tests.unit.stored import batches, call

ROOT = Path(__file__).parents[2]


def settings(tmp_path: Path, rules: str) -> Alerts:
    receiver = {"name": "hook", "url": "http://127.0.0.1:9/"}
    return Alerts.model_validate({"rules": [rules], "state": str(tmp_path / "state"), "webhook": [receiver]})


def test_without_rules_there_are_no_alerts() -> None:
    assert open_alerts(Alerts(), pytest.fail) is None


def test_the_rules_that_are_shipped_run(tmp_path: Path) -> None:
    sink = open_alerts(settings(tmp_path, str(ROOT / "deploy/alerts/*.toml")), pytest.fail)
    assert sink
    sink.start()
    for batch in batches([call(number, status=200, route="/a") for number in range(10)]):
        assert sink.write(batch) == 0
    sink.close()
    assert json.loads((tmp_path / "state/states.json").read_text())["rules"] == {}
    assert (tmp_path / "state").stat().st_mode & 0o007 == 0


def test_a_glob_that_finds_nothing_is_told_of(tmp_path: Path) -> None:
    told: list[str] = []
    sink = open_alerts(settings(tmp_path, str(tmp_path / "*.toml")), told.append)
    assert sink
    sink.close()
    assert len(told) == 1


def test_a_rule_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("[[group]]\nname = 'g'\n[[group.rule]]\nalert = 'a'\nexpr = 'calls'\n")
    with pytest.raises(ConfigError, match=r"rules\.toml:5: a: expr: calls needs a range"):
        open_alerts(settings(tmp_path, str(tmp_path / "rules.toml")), pytest.fail)


def test_a_place_for_states_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(ConfigError, match="no place for the states"):
        open_alerts(settings(tmp_path, str(ROOT / "deploy/alerts/*.toml")), pytest.fail)
