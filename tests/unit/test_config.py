import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from masthead.config import SECRET_FIELDS, SECRET_QUERY, Config, load, restart_needed, rules_json
from masthead.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "masthead.toml"


def refusal(file: Path, text: str, environ: dict[str, str] | None = None) -> str:
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(path=str(file), environ=environ or {})
    return str(raised.value)


def test_without_a_file_the_defaults_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load(environ={})
    assert loaded.config == Config()
    assert loaded.config.capture.max_head_bytes == 16_384


def test_flag_beats_variable_beats_file_beats_default(file: Path) -> None:
    file.write_text("[capture]\nports = [1]\nmax_head_bytes = 1000\nring_bytes = 65536\n")
    environ = {"MASTHEAD_CAPTURE_PORTS": "2, 22", "MASTHEAD_CAPTURE_MAX_HEAD_BYTES": "2000"}
    capture = load({"capture.ports": [3], "capture.role": None}, path=str(file), environ=environ).config.capture
    assert (capture.ports, capture.max_head_bytes, capture.ring_bytes, capture.role) == ((3,), 2000, 65_536, "both")


def test_the_file_is_searched_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, port in (("masthead.toml", 1), ("named.toml", 2), ("flag.toml", 3)):
        Path(name).write_text(f"[capture]\nports = [{port}]\n")
    named = {"MASTHEAD_CONFIG": "named.toml"}
    assert load(environ={}).config.capture.ports == (1,)
    assert load(environ=named).config.capture.ports == (2,)
    assert load(path="flag.toml", environ=named).config.capture.ports == (3,)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_a_file_of_a_stranger_in_the_working_directory_is_left_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("masthead.toml").write_text("[redact]\nenabled = false\n")
    os.chown("masthead.toml", 4321, 4321)
    loaded = load(environ={})
    assert loaded.config.redact.enabled
    assert "uid 4321" in loaded.notes[0]
    assert not load(environ={"SUDO_UID": "4321"}).config.redact.enabled


def test_a_missing_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(path=str(tmp_path / "none.toml"), environ={})


def test_broken_toml_is_reported_with_its_line(file: Path) -> None:
    assert f"{file}:2: not TOML" in refusal(file, "[capture]\nports = \n")


def test_a_file_that_is_not_utf8_is_refused(file: Path) -> None:
    file.write_bytes(b"[capture]\n# \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 12"):
        load(path=str(file), environ={})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[capture]\nprots = [1]\n", ':2: capture.prots: unknown key; did you mean "ports"?'),
        ("[capure]\n", ':1: capure: unknown key; did you mean "capture"?'),
        ("[[scope]]\nhost='a'\n[[scope]]\nrequest = {alow=['x']}\n", ":4: scope[1].request.alow: unknown key; did you"),
        ("[capture]\nports = [\n80,\n'81']\n", ':4: capture.ports[1]: should be a valid integer, not "81"'),
        ("[capture]\nports = [70000]\n", ":2: capture.ports[0]: should be less than or equal to 65535, not 70000"),
        ("[capture]\nring_bytes = 5000\n", "should be a power of two"),
        ("[capture]\nring_bytes = 2048\n", "at least one page"),
        ("[capture]\nmax_head_bytes = 262145\n", "should be less than or equal to 262144"),
        ("[sample]\nrate = 0\n", ":2: sample.rate: should be greater than 0"),
        ("[filter]\nstatuses = ['5xx', 'teapot']\n", ':2: filter.statuses[1]: should be a status such as "404"'),
        (
            "[routes]\ntemplates = [\n'/a',\n'v1']\n",
            ":4: routes.templates[1]: should be a path that begins with /, such as",
        ),
        ("[routes]\ntemplates = ['']\n", ":2: routes.templates[0]: should be a path that begins with /"),
        ("[routes]\ntemplates = [' /a']\n", "should be a path that begins with /"),
        ("[routes]\ntemplates = ['get /a']\n", ":2: routes.templates[0]: should have a method in capitals"),
        ("[routes]\ntemplates = ['GET  /a']\n", "one space in front of its path"),
        ("[routes]\ntemplates = ['/a?b']\n", "should be a path alone"),
        (
            "[routes]\ntemplates = ['/a/{id']\n",
            "only around a whole segment, {id} or {path...} ({id is neither)",
        ),
        ("[routes]\ntemplates = ['/a/{id}.json']\n", "({id}.json is neither)"),
        ("[routes]\ntemplates = ['/a/{}']\n", "({} is neither)"),
        ("[routes]\ntemplates = ['/{id}/{id}']\n", "each placeholder differently ({id} stands twice)"),
        ("[routes]\ntemplates = ['/{path...}/a']\n", "should have {path...} at its end only"),
        ("[routes]\ntemplates = ['/" + 512 * "a" + "']\n", "should be at most 512 bytes long"),
        (
            "[routes]\ntemplates = ['/{a}', '/{c}']\n",
            ':2: routes.templates: "/{a}" and "/{c}" are for the same calls',
        ),
        ("[forwarded]\ntrusted_hops = ['10.0.0.0/33']\n", ":2: forwarded.trusted_hops[0]: should be an address"),
        ("[redact]\nenabled = 'no'\n", ":2: redact.enabled: should be a valid boolean"),
        ("capture = 3\n", ":1: capture: should be a table, not 3"),
        ("[output]\nformat = 'xml'\n", ":2: output.format: should be 'ndjson', 'table' or 'none'"),
    ],
)
def test_a_mistake_is_reported_with_file_line_and_key(file: Path, text: str, message: str) -> None:
    assert f"{file}{message}" if message.startswith(":") else message in refusal(file, text)


def test_all_mistakes_are_reported_at_once(file: Path) -> None:
    told = refusal(file, "[capture]\nports = [0]\nrole = 'x'\n[nothing]\n")
    assert [f"{file}:{line}" in told for line in (2, 3, 4)] == [True, True, True]


def test_a_mistake_in_a_variable_names_the_variable(file: Path) -> None:
    assert "MASTHEAD_SAMPLE_RATE: sample.rate" in refusal(file, "", {"MASTHEAD_SAMPLE_RATE": "most"})


def test_an_unknown_variable_of_a_section_is_refused_and_others_are_not_ours(file: Path) -> None:
    told = refusal(file, "", {"MASTHEAD_CAPTURE_PORT": "80"})
    assert 'did you mean "MASTHEAD_CAPTURE_PORTS"?' in told
    assert load(environ={"MASTHEAD_PORT": "tcp://10.0.0.1:80", "MASTHEAD_SERVICE_HOST": "x"}).config == Config()


def test_a_mistake_on_the_command_line_says_so() -> None:
    with pytest.raises(ConfigError, match=r"command line: capture\.ports\[0\]"):
        load({"capture.ports": [0]}, environ={}, path=os.devnull)


def test_sections_of_the_service_do_not_bind_other_commands(file: Path) -> None:
    file.write_text("[output]\nfile = '/somewhere'\n")
    assert load(path=str(file), environ={}, without=("output",)).config.output.file == ""
    given = load({"output.format": "table"}, path=str(file), environ={}, without=("output",))
    assert given.config.output.format == "table"
    file.write_text("[output]\nfil = '/somewhere'\n")
    with pytest.raises(ConfigError, match="did you mean"):
        load(path=str(file), environ={}, without=("output",))


def test_a_scope_inherits_the_direction_that_it_does_not_name(file: Path) -> None:
    file.write_text("[response]\ndeny = ['server']\n[[scope]]\nhost = 'a'\nrequest = {allow = ['host']}\n")
    rules = json.loads(rules_json(load(path=str(file), environ={}).config))
    assert rules["scoped"] == [
        {
            "host": "a",
            "path": None,
            "request": {"allow": ["host"], "deny": []},
            "response": {"allow": ["*"], "deny": ["server"]},
        }
    ]


def test_own_secrets_are_added_to_the_usual_ones(file: Path) -> None:
    file.write_text("[redact]\nfields = ['x-mine']\nquery = ['q']\n")
    redact = json.loads(rules_json(load(path=str(file), environ={}).config))["redact"]
    assert {"authorization", "set-cookie", "*token*", "x-mine"} <= set(redact["fields"])
    assert {"*token*", "key", "q"} <= set(redact["query"])


def test_templates_reach_the_extension_as_they_stand(file: Path) -> None:
    file.write_text("[routes]\ntemplates = ['/{a}', '/a/', 'GET /{a}', '/{a...}', '/{a}/{b...}']\ninfer = false\n")
    config = load(path=str(file), environ={}).config
    assert json.loads(rules_json(config))["routes"] == {"templates": list(config.routes.templates), "infer": False}
    assert json.loads(rules_json(Config()))["routes"] == {"templates": [], "infer": True}


def test_only_what_is_fixed_at_the_start_needs_a_restart() -> None:
    old = Config()
    new = Config.model_validate(
        {
            "capture": {"ports": [80]},
            "sample": {"rate": 0.5},
            "routes": {"infer": False},
            "output": {"tail_socket": ""},
        }
    )
    assert restart_needed(old, new) == ["capture.ports", "output.tail_socket"]
    assert restart_needed(old, old) == []


def documented() -> str:
    return (ROOT / "docs/configuration.md").read_text()


def test_the_example_in_the_documentation_is_valid_and_complete() -> None:
    example: dict[str, Any] = {}
    for page in ("configuration.md", "alerts.md"):
        found = re.search(r"```toml\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
        assert found
        example |= tomllib.loads(found[1])
    Config.model_validate(example)
    for key, field in Config.model_fields.items():
        name = field.alias or key
        keys = getattr(field.annotation, "model_fields", {})
        assert name in example
        assert all(key in example[name] for key in keys), name


def test_defaults_in_the_documentation_are_the_defaults() -> None:
    found = re.search(r"```toml\n(.*?)```", documented(), re.DOTALL)
    assert found
    example = tomllib.loads(found[1])
    for key in ("capture", "tls", "sample", "output"):
        assert Config.model_validate({key: example[key]}) == Config(), key


def test_what_is_redacted_is_documented_to_the_last_name() -> None:
    names = {name.strip("*") for name in (*SECRET_FIELDS, *SECRET_QUERY)}
    page = documented().lower()
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('kind = "loki"', r"masthead.toml:1: sink\[0\].url: Field required"),
        ('kind = "other"', r"kind|tag"),
        ('kind = "loki"\nurl = "loki:3100"', "should be an address"),
        ('kind = "loki"\nurl = "http://a:b@loki"', "holds a user or a password"),
        ('kind = "webhook"\nurl = "http://a"\nheaders = { Authorization = "x" }', "looks like a secret"),
        ('kind = "syslog"\naddress = "host"', "should be"),
        ('kind = "kafka"\nbrokers = "a:1"\ntopic = "a b"', "topic"),
        ('kind = "file"\npath = "/x"\nrotate_bytes = "lots"', "size"),
        ('kind = "syslog"\naddress = "a b:514"', r"sink\[0\].address: should be"),
        ('kind = "syslog"\naddress = "[::g]:514"', r"sink\[0\].address: should be"),
        ('kind = "webhook"\nurl = "http://a"\nbatch_bytes = "1GB"', r"sink\[0\].batch_bytes: should be at most 256MB"),
        ('kind = "kafka"\nbrokers = "a"\nbatch_rows = 500000', r"sink\[0\].batch_rows: should be less than"),
        ('kind = "otlp"\nurl = "https://a"\nprotocol = "grpc"\nverify = false', r"not possible over gRPC"),
        ('kind = "file"\npath = "/x"\nother = 1', r"masthead.toml:4: sink\[0\].other: unknown key"),
        ('kind = "file"\npath = "/x"\nrotate_byte = 1', 'did you mean "rotate_bytes"'),
        ('kind = "file"\npath = "/x"\n[[sink]]\nkind = "file"\npath = "/y"', 'are called "file"'),
    ],
)
def test_a_mistake_in_a_sink_is_told_with_its_place(tmp_path: Path, table: str, message: str) -> None:
    file = tmp_path / "masthead.toml"
    file.write_text(f"[[sink]]\n{table}\n")
    with pytest.raises(ConfigError, match=message):
        load(path=str(file), environ={})


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"kind": "loki", "url": "https://ann:hidden@host"}, "url"),
        ({"kind": "loki", "url": "https://hidden@host"}, "url"),
        ({"kind": "clickhouse", "url": "clickhouse://ann:hidden@host/db"}, "url"),
        ({"kind": "clickhouse", "url": "clickhouse://ann@hidden@host/db"}, "url"),
    ],
)
def test_a_password_in_an_address_is_not_shown(tmp_path: Path, table: dict[str, str], key: str) -> None:
    file = tmp_path / "masthead.toml"
    file.write_text("[[sink]]\n" + "".join(f'{name} = "{value}"\n' for name, value in table.items()))
    with pytest.raises(ConfigError, match=key) as caught:
        load(path=str(file), environ={})
    assert "hidden" not in str(caught.value)


def test_addresses_of_syslog_servers() -> None:
    for address in ("logs.example:514", "log_1:514", "10.0.0.1:1", "[::1]:514", "[fe80::1%eth0]:514", "/dev/log"):
        Config.model_validate({"sink": [{"kind": "syslog", "address": address}]})
