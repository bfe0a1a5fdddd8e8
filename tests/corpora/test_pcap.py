"""The captures of other projects through `masthead replay`, judged by Wireshark and by Suricata's own expectations."""

from __future__ import annotations

import functools
import importlib.util
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.corpora import captures
from tests.corpora.captures import CAPTURES, SERIES, Calls

DIFFERENCES: dict[str, list[dict[str, Any]]] = tomllib.loads(
    Path(__file__).with_name("pcap_differences.toml").read_text(encoding="utf-8")
)
FILES = captures.files()
SINGLE = [file for file in FILES if not file.startswith(SERIES)]
SERIAL = [file for file in FILES if file.startswith(SERIES)]

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not FILES, reason=f"no captures under {CAPTURES} (set MASTHEAD_CORPORA)"),
    pytest.mark.skipif(importlib.util.find_spec("masthead._native") is None, reason="the extension is not installed"),
]
needs_wireshark = pytest.mark.skipif(
    not (shutil.which("tshark") and shutil.which("mergecap")), reason="tshark and mergecap are not installed"
)


@functools.cache
def replayed(file: str) -> tuple[list[captures.Row], str]:
    """What one capture gives; two tests look at each."""
    return captures.masthead([CAPTURES / file])


def explained(file: str) -> dict[int, Calls]:
    """What the list of differences says of a file, by stream."""
    entries = (entry for entry in DIFFERENCES["tshark"] if entry["file"] == file)
    return {entry["stream"]: Calls(entry["requests"], entry["responses"]) for entry in entries}


def check(file: str, ours: dict[int, Calls], theirs: dict[int, Calls]) -> None:
    """Equal to tshark's, stream by stream, but for what is explained; and that is as explained."""
    expected = {stream: theirs.get(stream, Calls()) for stream in {*ours, *theirs}} | explained(file)
    assert {stream: ours.get(stream, Calls()) for stream in expected} == expected, file


@pytest.mark.parametrize("file", SINGLE)
def test_a_capture_is_replayed_to_its_end_and_the_ledger_closes(file: str) -> None:
    _, said = replayed(file)
    assert said.rstrip().endswith("everything is accounted for")


def test_the_series_is_replayed_to_its_end_and_the_ledger_closes() -> None:
    _, said = captures.masthead([CAPTURES / file for file in SERIAL])
    assert said.rstrip().endswith("everything is accounted for")


@needs_wireshark
@pytest.mark.parametrize("file", SINGLE)
def test_calls_equal_those_of_tshark(file: str) -> None:
    rows, _ = replayed(file)
    check(file, captures.calls_of_rows(rows), captures.tshark(CAPTURES / file))


@needs_wireshark
def test_calls_of_the_series_equal_those_of_tshark(tmp_path: Path) -> None:
    merged = captures.merged([CAPTURES / file for file in SERIAL], tmp_path / "series.pcapng")
    rows, _ = captures.masthead([merged])
    ours, theirs = captures.calls_of_rows(rows), captures.tshark(merged)
    wrong = []
    for stream, file in enumerate(SERIAL):
        try:
            check(file, {0: ours.get(stream, Calls())}, {0: theirs.get(stream, Calls())})
        except AssertionError as error:
            wrong.append(str(error))
    assert not wrong, "\n".join(wrong)


def test_every_explained_difference_is_of_a_capture_that_is_there() -> None:
    entries = [entry for kind in DIFFERENCES.values() for entry in kind]
    assert [entry["file"] for entry in entries if not (CAPTURES / entry["file"]).exists()] == []
    assert all(entry["reason"] for entry in entries)


def suricata_cases() -> list[str]:
    """The folders with expectations of HTTP/1 events."""
    cases = (CAPTURES / "suricata").rglob("test.yaml")
    asked = (path.parent for path in cases if "event_type: http\n" in path.read_text(encoding="utf-8"))
    # Some cases use a capture that is not among these.
    return sorted(str(case.relative_to(CAPTURES)) for case in asked if any(case.glob("*.pcap")))


@pytest.mark.parametrize("case", suricata_cases())
def test_rows_are_those_that_suricata_expects(case: str) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    folder = CAPTURES / case
    (capture,) = (path for path in folder.iterdir() if path.suffix == ".pcap")
    rows, _ = captures.masthead([capture])
    entries = (entry for entry in DIFFERENCES["suricata"] if entry["file"] == f"{case}/test.yaml")
    counts = {entry["check"]: entry["count"] for entry in entries}
    for place, item in enumerate(yaml.safe_load((folder / "test.yaml").read_text(encoding="utf-8"))["checks"]):
        match = item.get("filter", {}).get("match", {})
        if match.get("event_type") != "http":
            continue
        found = [row for row in rows if all(captures.suricata_value(row, key) == match[key] for key in match)]
        assert len(found) == counts.get(place, item["filter"]["count"]), (case, place, match)
