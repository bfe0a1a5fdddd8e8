import argparse
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import masthead
from masthead.__main__ import main
from masthead.commands.reload import Reload
from masthead.commands.run import hint
from masthead.config import Config
from masthead.config.load import Loaded
from masthead.errors import StoreError
from masthead.host import Host
from tests.unit import native

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGALRM)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the machine's own settings, key and sockets out of it."""
    config = tmp_path / "masthead.toml"
    key, tail = tmp_path / "key", tmp_path / "tail.sock"
    config.write_text(f'[redact]\nkey_file = "{key}"\n[output]\ntail_socket = "{tail}"\n')
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("MASTHEAD_"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture(autouse=True)
def extension(monkeypatch: pytest.MonkeyPatch) -> None:
    module = native.extension()
    monkeypatch.setitem(sys.modules, "masthead._native", module)
    monkeypatch.setattr(masthead, "_native", module, raising=False)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    yield
    signal.alarm(0)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "missing_capabilities", lambda _: [])


def rows(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


class TestCommandLine:
    def test_without_a_verb_it_teaches(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert main([]) == 0
        out = capfd.readouterr().out
        assert "sudo masthead doctor" in out
        assert "Exit codes" in out

    @pytest.mark.parametrize("verb", ["run", "tail", "replay", "parse", "doctor"])
    def test_each_verb_explains_itself_with_examples(self, verb: str, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as left:
            main([verb, "--help"])
        assert left.value.code == 0
        assert "examples:" in capfd.readouterr().out

    def test_the_version_is_told(self, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["--version"])
        assert capfd.readouterr().out.startswith("masthead ")

    @pytest.mark.parametrize(
        "arguments",
        [["walk"], ["run", "--prot", "80"], ["replay"], ["run", "--port", "x"], ["run", "--port", "0"], ["--x"]],
    )
    def test_a_wrong_command_line_is_refused_in_words(
        self, arguments: list[str], capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert main(arguments) == 2
        err = capfd.readouterr().err
        assert err.startswith("masthead: ")
        assert "Traceback" not in err

    def test_a_defect_is_a_message_unless_asked_for_more(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        def break_down(*_: object) -> None:
            raise ZeroDivisionError("oops")

        monkeypatch.setattr("masthead.commands.execute", break_down)
        assert main([]) == 2
        assert "a defect in masthead: ZeroDivisionError: oops" in capfd.readouterr().err
        monkeypatch.setenv("MASTHEAD_DEBUG", "1")
        with pytest.raises(ZeroDivisionError):
            main([])

    def test_without_the_extension_the_remedy_is_told(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delattr(masthead, "_native", raising=False)
        monkeypatch.setitem(sys.modules, "masthead._native", None)
        assert main(["replay", "good.pcap"]) == 3
        assert "maturin develop" in capfd.readouterr().err


class TestReplay:
    def test_rows_go_to_standard_output(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["replay", "good.pcap", "good.pcap"]) == 0
        assert rows(capfd.readouterr().out) == [native.ROW, native.FAILED_ROW] * 2

    def test_what_is_damaged_is_told_and_the_rest_read(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["replay", "damaged.pcap", "absent.pcap", "good.pcap"]) == 0
        out, err = capfd.readouterr()
        assert len(rows(out)) == 2
        assert "damaged.pcap: packet 3: cut short" in err
        assert "absent.pcap: not a recording" in err

    def test_only_when_nothing_could_be_read_it_fails(self) -> None:
        assert main(["replay", "absent.pcap"]) == 2

    def test_the_output_of_the_service_is_left_alone(self, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
        with (home / "masthead.toml").open("a") as config:
            config.write('file = "service.ndjson"\n')
        assert main(["replay", "good.pcap", "--file", "mine.ndjson"]) == 0
        assert main(["replay", "good.pcap"]) == 0
        assert not (home / "service.ndjson").exists()
        assert rows((home / "mine.ndjson").read_text()) == rows(capfd.readouterr().out)

    def test_flags_reach_the_rules(self, home: Path) -> None:
        main(["replay", "good.pcap", "--host", "a", "--host", "b", "--status", "5xx", "--request-deny", "x-*"])
        rules, key = native.Rules.made[0]
        assert (rules["filter"]["hosts"], rules["filter"]["statuses"]) == (["a", "b"], ["5xx"])
        assert rules["request"]["deny"] == ["x-*"]
        assert key.hex() == (home / "key").read_text().strip()

    def test_without_redaction_no_key_is_made_and_it_is_said(
        self, home: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["replay", "good.pcap", "--no-redaction"]) == 0
        assert not (home / "key").exists()
        assert "redaction is off" in capfd.readouterr().err

    def test_rows_that_can_not_be_written_end_in_an_error(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["replay", "good.pcap", "--file", "/dev/full"]) == 2
        assert "2 rows could not be written" in capfd.readouterr().err

    def test_the_account_is_told_when_asked_for(self, capfd: pytest.CaptureFixture[str]) -> None:
        main(["replay", "--ledger", "good.pcap", "good.pcap"])
        assert "written 4" in capfd.readouterr().err


class TestParse:
    def test_bytes_of_a_file_are_parsed(self, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
        (home / "raw").write_bytes(b"HTTP/1.1 200 OK\r\n\r\n")
        assert main(["parse", "--response", "raw", "--max-head-bytes", "600"]) == 0
        assert rows(capfd.readouterr().out) == [{"data": "HTTP/1.1 200 OK\r\n\r\n", "response": True, "limit": 600}]

    def test_a_file_that_is_not_there_is_named(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["parse", "absent"]) == 2
        assert "masthead: absent: No such file" in capfd.readouterr().err


class TestDoctor:
    def test_each_check_is_a_line_and_the_exit_code_sums_up(self, capfd: pytest.CaptureFixture[str]) -> None:
        code = main(["doctor"])
        lines = capfd.readouterr().out.split("\n\n")[0].splitlines()
        assert {line.split()[0] for line in lines} <= {"ok", "note", "missing"}
        assert code == (3 if any(line.startswith("missing") for line in lines) else 0)

    def test_who_speaks_tls_is_a_table(self, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
        main(["doctor"])
        out = capfd.readouterr().out
        assert "1 of 1 processes with a TLS library are seen; 30 files searched for linked libraries in 5 ms" in out
        assert "1 files could not be searched; 2 processes can't be looked into; add CAP_SYS_PTRACE" in out
        assert out.splitlines()[-1].split() == ["7", "nginx", "openssl", "/usr/lib/libssl.so.3", "seen"]
        with (home / "masthead.toml").open("a") as config:
            config.write("[tls]\nenabled = false\n")
        main(["doctor", "--json"])
        report = json.loads(capfd.readouterr().out)
        (speaker,) = report["tls"]
        assert report["tls_searched"]["bytes"] == 4_000_000
        assert (speaker["seen"], speaker["why"]) == (False, "tls.enabled is false")

    def test_machines_can_read_it(self, capfd: pytest.CaptureFixture[str]) -> None:
        code = main(["doctor", "--json"])
        report = json.loads(capfd.readouterr().out)
        assert report["ready"] == (code == 0)
        assert {"name", "state", "detail", "remedy"} == set(report["checks"][0])

    def test_programs_are_listed_with_helpers_and_exits(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["doctor", "--programs"]) == 0
        assert "bpf_loop" in capfd.readouterr().out
        assert main(["doctor", "--programs", "--json"]) == 0
        assert json.loads(capfd.readouterr().out)[0]["exits"] == [1]


def script(*steps: Callable[[], None]) -> Callable[[], None]:
    """Do one step each time the capture runs dry, and ask to stop after the last."""
    left = list(steps)

    def step() -> None:
        if left:
            left.pop(0)()
        else:
            signal.raise_signal(signal.SIGTERM)

    return step


@pytest.mark.usefixtures("permitted")
class TestRun:
    def test_it_says_when_it_is_ready_logs_and_closes_its_account(
        self, home: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        native.Capture.on_dry = script()
        assert main(["run", "--port", "8080", "--role", "server"]) == 0
        out, err = capfd.readouterr()
        assert len(rows(out)) == 2
        assert "ready: capturing port 8080 of the whole host, server side only" in err
        assert "everything is accounted for" in err
        assert not (home / "tail.sock").exists()

    def test_options_reach_the_capture(self) -> None:
        native.Capture.on_dry = script()
        main(["run", "--port", "80", "--port", "81", "--process", "nginx", "--cgroup", "/x"])
        options = native.Capture.made[0].options
        assert (options["ports"], options["processes"], options["cgroups"]) == ([80, 81], ["nginx"], ["/x"])
        assert options["role"] is None
        assert options["own_pids"] == [os.getpid()]

    def test_a_signal_brings_the_account(self, capfd: pytest.CaptureFixture[str]) -> None:
        native.Capture.on_dry = script(lambda: signal.raise_signal(signal.SIGUSR1))
        main(["run"])
        assert capfd.readouterr().err.count("masthead: ledger") == 2

    def test_a_reload_changes_rules_and_opens_the_output_anew(
        self, home: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        config = home / "masthead.toml"
        before = config.read_text()

        def rotate() -> None:
            (home / "log").rename(home / "log.1")
            config.write_text(before + "[sample]\nrate = 0.5\n[capture]\nports = [99]\n")
            signal.raise_signal(signal.SIGHUP)

        native.Capture.on_dry = script(rotate)
        assert main(["run", "--file", "log"]) == 0
        assert len(rows((home / "log.1").read_text())) == 2
        assert (home / "log").read_text() == ""
        assert native.Rules.made[-1][0]["sample"]["rate"] == 0.5
        assert "settings read again; only a restart changes capture.ports" in capfd.readouterr().err

    def test_a_mistake_in_the_file_leaves_the_old_settings_in_force(
        self, home: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        def spoil() -> None:
            (home / "masthead.toml").write_text("[sample]\nrat = 0.5\n")
            signal.raise_signal(signal.SIGHUP)

        native.Capture.on_dry = script(spoil)
        assert main(["run"]) == 0
        assert len(native.Rules.made) == 1
        assert 'masthead.toml:2: sample.rat: unknown key; did you mean "rate"?' in capfd.readouterr().err

    def test_an_output_that_fails_stops_nothing(self, capfd: pytest.CaptureFixture[str]) -> None:
        native.Capture.on_dry = script()
        assert main(["run", "--file", "/dev/full"]) == 0
        assert "failed_at_sink 2" in capfd.readouterr().err

    def test_systemd_is_told_when_it_is_ready(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.bind(str(home / "notify"))
            channel.settimeout(5)
            monkeypatch.setenv("NOTIFY_SOCKET", str(home / "notify"))
            native.Capture.on_dry = script()
            main(["run"])
            assert channel.recv(100) == b"READY=1"


def test_who_may_not_capture_is_told_what_to_try(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Host, "missing_capabilities", lambda _: ["CAP_BPF"])
    monkeypatch.setattr(sys, "argv", ["masthead", "run", "--path", "/v1/*"])
    assert main(["run", "--path", "/v1/*"]) == 3
    assert "CAP_BPF missing\n  try: sudo masthead run --path '/v1/*'" in capfd.readouterr().err
    assert native.Rules.made == []


class TestTail:
    @pytest.mark.usefixtures("permitted")
    def test_alone_it_captures_and_shows_what_passes(self, capfd: pytest.CaptureFixture[str]) -> None:
        def interrupt() -> None:
            raise KeyboardInterrupt

        native.Capture.on_dry = interrupt
        assert main(["tail", "--where", "status >= 500"]) == 0
        lines = capfd.readouterr().out.splitlines()
        assert len(lines) == 2
        assert "500" in lines[1]

    def test_it_follows_the_service_that_runs(self, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
        with socket.socket(socket.AF_UNIX) as service:
            service.bind(str(home / "tail.sock"))
            service.listen()

            def serve() -> None:
                follower, _ = service.accept()
                line = json.dumps(native.FAILED_ROW).encode() + b"\n"
                missed = b'{"masthead": {"event": "missed", "rows": 7}}\n'
                for part in (line[:20], line[20:] + line, missed):
                    follower.sendall(part)
                follower.close()

            thread = threading.Thread(target=serve)
            thread.start()
            assert main(["tail"]) == 0
            thread.join()
        out, err = capfd.readouterr()
        assert [line for line in out.splitlines() if "rows 7" in line]
        assert sum(" 500 " in line for line in out.splitlines()) == 2
        assert "the service has stopped" in err

    def test_a_mistake_in_the_expression_is_pointed_at(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["tail", "--where", "status >> 5"]) == 2
        assert "\n            ^\n" in capfd.readouterr().err


def test_a_reload_that_fails_half_way_leaves_no_output_open(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    class Keeping:
        sink: Any = None

        def set_kinds(self, kinds: object) -> None:
            raise StoreError("the disk is gone", str(kinds.__class__), "mend it")

    opened: list[Any] = []

    class Output:
        closed = False

        def close(self) -> None:
            self.closed = True

    def open_output(*_: object) -> Any:
        opened.append(Output())
        return opened[-1]

    monkeypatch.setattr("masthead.commands.reload.open_sink", open_output)
    parsed = argparse.Namespace(config=None)
    monkeypatch.setattr("masthead.commands.reload.flags.settings", lambda _: Loaded(Config(), home))
    with pytest.raises(StoreError, match="the disk is gone"):
        Reload(parsed, Config(), cast("Any", None), cast("Any", None), Keeping(), None)()
    assert [each.closed for each in opened] == [True]


def test_who_sees_nothing_is_not_told_that_what_is_seen_is_not() -> None:
    config = Config()
    said = hint(config)
    assert "HTTP/3, Unix sockets and some TLS libraries are not seen" in said
    assert "HTTPS" not in said
    assert "HTTP/2" not in said
    without = config.model_copy(update={"tls": config.tls.model_copy(update={"enabled": False})})
    assert "TLS (tls.enabled is false)" in hint(without)
