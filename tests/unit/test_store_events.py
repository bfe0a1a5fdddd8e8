from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

from masthead.store import events as noting
from masthead.store.events import Events

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_each_event_is_a_line_with_its_time(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    events = Events(path, print)
    events.add("deleted", part="a", rows=3)
    events.add_line({"masthead": {"event": "loss"}})
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["event"], first["rows"], first["time"][-1]) == ("deleted", 3, "Z")
    assert second == {"masthead": {"event": "loss"}}


def test_one_older_file_is_kept_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noting, "MAX_BYTES", 100)
    path = tmp_path / "events.ndjson"
    for number in range(20):
        Events(path, print).add("x", number=number)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["events.1.ndjson", "events.ndjson"]
    assert json.loads(path.read_text().splitlines()[-1])["number"] == 19


def test_on_a_full_disk_an_event_is_told_instead_and_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, told, real = tmp_path / "events.ndjson", list[str](), os.write
    events = Events(path, told.append)
    events.add("before")
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:9]))
    events.add("lost", part="x")
    monkeypatch.undo()
    events.add("after")
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["before", "after"]
    assert os.strerror(errno.ENOSPC) in told[0]
    assert '"part":"x"' in told[0]
