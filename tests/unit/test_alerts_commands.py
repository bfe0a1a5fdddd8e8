from __future__ import annotations

from pathlib import Path

import pytest

from masthead.__main__ import main
from masthead.alerts.memory import write
from tests.unit.stored import BEGIN_NS, SECOND, call, fill

GOOD = """
[[group]]
name = "g"
[[group.rule]]
alert = "Errors"
expr = "error_ratio[1m] by (route) > 20%"
[[group.rule]]
alert = "Never"
expr = "calls[1m] > 1000000"
"""
BAD = """
[[group]]
name = "g"
[[group.rule]]
alert = "Errors"
expr = "error_ratio[1m] by (rout) > 20%"
annotations = { summary = "{{ $labels.host }}" }
[[group.rule]]
alert = "Other"
expr = "calls[1m] > 1"
annotations = { summary = "{{ $labels.host }}" }
"""


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "masthead.toml").write_text(f'[alerts]\nstate = "{tmp_path}/state"\n')
    monkeypatch.setenv("MASTHEAD_CONFIG", str(tmp_path / "masthead.toml"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir()


def test_rules_that_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    Path("rules.toml").write_text(GOOD)
    assert main(["alerts", "check", "rules.toml"]) == 0
    assert capsys.readouterr().out == "2 rules, all valid\n"


def test_rules_that_are_not_are_findings_with_file_line_and_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    Path("rules.toml").write_text(BAD)
    assert main(["alerts", "check", "rules.toml"]) == 1
    told = capsys.readouterr().err
    assert 'rules.toml:6: Errors: expr: unknown key "rout"; did you mean "route"?, at column 21' in told
    assert 'rules.toml:11: Other: annotations.summary: the alert has no label "host"' in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[group]\n", "not TOML"),
        ('[[group]]\nname = "g"\n', "rule"),
        ('[[group]]\nname = "g"\n[[group.rule]]\nalert = "a"\nexp = "x"\n', 'unknown key; did you mean "expr"?'),
        ('[[group]]\nname = "g"\n[[group.rule]]\nalert = "a"\nexpr = "x"\nfor = "soon"\n', "should be an age"),
        ("", "group"),
    ],
)
def test_files_that_are_not_rules(text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rules.toml").write_text(text)
    assert main(["alerts", "check", "rules.toml"]) == 1
    assert message in capsys.readouterr().err


def test_a_rule_that_stands_twice_and_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    Path("rules.toml").write_text(GOOD)
    assert main(["alerts", "check", "rules.toml", "rules.toml", "none.toml"]) == 1
    told = capsys.readouterr().err
    assert 'the rule "Errors" twice' in told
    assert "none.toml: there is no such file" in told
    assert main(["alerts", "check"]) == 2


def test_when_rules_would_have_fired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rules.toml").write_text(GOOD)
    calls = [call(second, route="/a", status=500 if 300 <= second < 400 else 200) for second in range(600)]
    root = fill(tmp_path / "store", calls)
    assert main(["alerts", "check", "rules.toml", "--store", str(root), "--since", "2026-08-01"]) == 0
    assert capsys.readouterr().out == (
        "2 rules, all valid\n"
        '2026-08-01T00:05:15Z to 2026-08-01T00:07:30Z  Errors{route="/a"}  0.25\n'
        "would not have fired: Never\n"
    )


def test_receivers_are_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alerts", "test"]) == 2
    with (tmp_path / "masthead.toml").open("a") as file:
        file.write('[[alerts.exec]]\nname = "good"\ncommand = ["/bin/sh", "-c", "cat > told.json"]\n')
        file.write('[[alerts.exec]]\nname = "bad"\ncommand = ["/bin/false"]\n')
    assert main(["alerts", "test"]) == 1
    assert capsys.readouterr().out == "good: sent\nbad: failed: /bin/false ended with 1: \n"
    assert "MastheadTest" in Path("told.json").read_text()
    assert main(["alerts", "test", "good"]) == 0
    assert main(["alerts", "test", "nobody"]) == 2


def test_silences_are_added_listed_and_ended(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alerts", "silence", "add", 'alertname="Errors"', "--for", "2h", "--comment", "why"]) == 0
    name = capsys.readouterr().out.strip()
    assert main(["alerts", "silence", "list"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{name}  until 2")
    assert told.endswith('alertname="Errors"  why\n')
    assert main(["alerts", "silence", "expire", name]) == 0
    assert main(["alerts", "silence", "expire", name]) == 2
    assert main(["alerts", "silence", "list"]) == 0
    assert capsys.readouterr().out == ""
    for wrong in (["alertname=Errors"], ['a="b"', "--for", "forever"], ['a="b"', "--for", "soon"]):
        assert main(["alerts", "silence", "add", *wrong]) == 2


def test_what_fires_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alerts", "list"]) == 2
    alert = {"labels": {"alertname": "Errors", "route": "/a"}, "annotations": {}, "value": 0.5, "state": "firing"}
    alert |= {"active_ns": BEGIN_NS, "fired_ns": BEGIN_NS, "absent_ns": None, "resolved_ns": None}
    over = {**alert, "state": "inactive"}
    states = {"done": BEGIN_NS + 60 * SECOND, "rules": {"g/Errors/x": [[["/a"], alert], [["/b"], over]]}, "told": []}
    write(tmp_path / "state/states.json", states)
    assert main(["alerts", "silence", "add", 'route="/a"']) == 0
    capsys.readouterr()
    assert main(["alerts", "list"]) == 0
    assert capsys.readouterr().out == (
        'firing   2026-08-01T00:00:00Z  g  Errors{route="/a"}  0.5  (silenced)\nas of 2026-08-01T00:01:00Z\n'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[alerts.webhook]]\nname = "a"\n', "one of url, url_file and url_env"),
        ('[[alerts.webhook]]\nname = "a"\nurl = "ftp://x"\n', "should be a URL"),
        ('[[alerts.webhook]]\nname = "a"\nurl = "http://x"\nmatch = ["severity=page"]\n', "should be a label, a sign"),
        ('[[alerts.exec]]\nname = "a"\ncommand = []\n', "command"),
        ('[[alerts.exec]]\nname = "a"\ncommand = ["x"]\n[[alerts.exec]]\nname = "a"\ncommand = ["x"]\n', "differently"),
        ('[[alerts.silence]]\nmatch = [\'a="b"\']\nuntil = "2026-01-01"\n', "a time with its offset"),
        ('timezone = "Mars/Olympus"\n', "should be a time zone"),
        ('interval = "0s"\n', "longer than 0"),
        ('external_labels = { alertname = "x" }\n', "another label"),
        ('[[alerts.smtp]]\nname = "a"\nhost = "h"\nfrom = "f"\nto = ["t"]\nttls = "none"\n', 'did you mean "tls"'),
    ],
)
def test_settings_that_cannot_be(text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "masthead.toml").write_text(f"[alerts]\n{text}")
    assert main(["alerts", "silence", "list"]) == 2
    assert message in capsys.readouterr().err
