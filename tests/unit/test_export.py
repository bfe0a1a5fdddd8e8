"""Exports are whole or said not to be, and nobody else's to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from masthead.__main__ import main
from tests.unit.stored import fill, random_calls

if TYPE_CHECKING:
    from pathlib import Path

FORMS = ["ndjson", "csv", "har"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("store"), random_calls(300))


def export(root: Path, form: str, file: str) -> int:
    return main(["export", "--store", str(root), "--since", "forever", "--output", form, "--file", file])


@pytest.mark.parametrize("form", FORMS)
def test_what_was_not_written_is_no_success(root: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(root, form, "/dev/full") != 0
    said = capsys.readouterr().err
    assert "not all could be written" in said
    assert "calls in /dev/full" not in said


@pytest.mark.parametrize("form", [*FORMS, "parquet"])
def test_nobody_else_may_read_it(root: Path, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"calls.{form}"
    assert export(root, form, str(file)) == 0
    assert file.stat().st_mode & 0o007 == 0
