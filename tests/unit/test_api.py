import subprocess
import sys
from pathlib import Path

import pytest

import masthead
from masthead.errors import ConfigError, InputError
from tests.unit import native


@pytest.fixture(autouse=True)
def extension(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = native.extension()
    monkeypatch.setitem(sys.modules, "masthead._native", module)
    monkeypatch.setattr(masthead, "_native", module, raising=False)
    monkeypatch.chdir(tmp_path)


def test_a_recording_is_iterated_by_batches() -> None:
    with masthead.replay("good.pcap", redact_key_file="key") as batches:
        assert [batch.num_rows for batch in batches] == [1, 1]
        assert batches.ledger().counts["rows.written"] == 2
    assert masthead.replay("damaged.pcap", redact_key_file="key").problems == ["packet 3: cut short"]


def test_a_capture_ends_when_it_is_closed() -> None:
    with masthead.capture(capture_ports=[80], redact_enabled=False) as batches:
        assert next(batches).num_rows == 2
        batches.close()
        assert list(batches) == []
    assert native.Capture.made[0].options["ports"] == [80]


def test_settings_of_the_machine_do_not_reach_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("masthead.toml").write_text("[sample]\nrate = 0.5\n")
    monkeypatch.setenv("MASTHEAD_SAMPLE_RATE", "0.1")
    masthead.replay("good.pcap", redact_enabled=False)
    masthead.replay("good.pcap", config="masthead.toml", redact_enabled=False)
    assert [rules["sample"]["rate"] for rules, _ in native.Rules.made] == [1.0, 0.5]


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match='did you mean "capture_ports"'):
        masthead.capture(capture_port=[80])
    with pytest.raises(ConfigError, match=r"capture\.ports\[0\]"):
        masthead.capture(capture_ports=[0])
    with pytest.raises(InputError, match=r"absent\.pcap"):
        masthead.replay("absent.pcap", redact_enabled=False)


def test_importing_loads_nothing_heavy() -> None:
    heavy = "pydantic", "rich", "masthead._native"
    program = f"import sys, masthead; print([name for name in {heavy} if name in sys.modules])"
    environment = {"PYTHONPATH": str(Path(masthead.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"
