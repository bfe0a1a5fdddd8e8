from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from masthead.errors import StoreError
from masthead.store.directory import FORMAT, Directory, recognize
from masthead.store.layout import SCHEMA_VERSION

if TYPE_CHECKING:
    from pathlib import Path


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_new_directory_is_made_and_recognized(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "store"
    directory = Directory(root)
    recognize(root)
    directory.close()
    Directory(root).close()


def test_two_cannot_write_to_one_directory(tmp_path: Path) -> None:
    first = Directory(tmp_path / "store")
    with pytest.raises(StoreError, match="another masthead writes to this store"):
        Directory(tmp_path / "store")
    first.close()
    Directory(tmp_path / "store").close()


@pytest.mark.parametrize("newer", [{"format": FORMAT + 1}, {"schema": SCHEMA_VERSION + 1}])
def test_what_a_newer_version_wrote_is_refused_and_left_as_it_is(tmp_path: Path, newer: dict[str, int]) -> None:
    root = tmp_path / "store"
    Directory(root).close()
    path = root / "format.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **newer}))
    before = contents(root)
    with pytest.raises(StoreError, match="newer masthead"):
        Directory(root)
    with pytest.raises(StoreError, match="newer masthead"):
        recognize(root)
    assert contents(root) == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "x", "schema": 1}'])
def test_a_damaged_format_file_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    root = tmp_path / "store"
    Directory(root).close()
    (root / "format.json").write_text(text)
    with pytest.raises(StoreError, match=r"(?s)format\.json.*restore it"):
        recognize(root)


def test_somebody_elses_directory_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="not empty, and no store"):
        Directory(tmp_path)
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


@pytest.mark.parametrize("left", [["lock"], ["lock", "format.json.new"], ["lock", "format.json.new", "format.json"]])
def test_a_crash_while_a_store_is_made_does_no_harm(tmp_path: Path, left: list[str]) -> None:
    whole = json.dumps({"format": FORMAT, "schema": SCHEMA_VERSION})
    for name in left:
        (tmp_path / name).write_text(whole if name == "format.json" else "")
    Directory(tmp_path).close()
    recognize(tmp_path)


def test_a_missing_store_is_told_from_one_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such directory"):
        recognize(tmp_path / "missing")
    with pytest.raises(StoreError, match="no store is here"):
        recognize(tmp_path)
