"""Every case of llhttp's own tests: the same parts and faults, or a listed difference with its reason in the RFC."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.corpora.llhttp import Case, Part, cases, part_of

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.corpora

ROOT = Path(os.environ.get("MASTHEAD_CORPORA", Path(__file__).parents[3] / "shared/corpora")) / "llhttp"
LISTED = Path(__file__).with_name("llhttp_differences.toml")
REQUEST = {"first": "method", "second": "url"}
RESPONSE = {"third": "status"}
FIELDS = {
    "name": "header_field",
    "value": "header_value",
    "trailer_name": "header_field",
    "trailer_value": "header_value",
}


def differences() -> dict[str, dict[str, str]]:
    return {entry["case"]: entry for entry in tomllib.loads(LISTED.read_text("utf-8"))["difference"]}


def disagreement(case: Case, spans: Sequence[tuple[str, int, int]]) -> str | None:
    """Return what is read differently: `fault`, `no fault` or the first part that differs."""
    names = FIELDS | (RESPONSE if case.response else REQUEST)
    fault = any(name.startswith("fault") for name, at, _ in spans if case.end is None or at < case.end)
    if fault != (case.error is not None):
        return "fault" if fault else "no fault"
    ours = [
        part_of(names[name], case.data, at, at + size)
        for name, at, size in spans
        if name in names and (case.end is None or at < case.end)
    ]
    return first_difference(ours, case)


def first_difference(ours: list[Part], case: Case) -> str | None:
    if case.error is not None:
        # llhttp stops at an error, where we read on.
        missing = [part for part in case.parts if part.text and part not in ours]
        return f"not read: {missing[0]}" if missing else None
    ours, theirs = ([part for part in parts if part.text] for parts in (ours, case.parts))
    pairs = zip(ours, theirs, strict=False)
    odd = [f"{our} for {their}" for our, their in pairs if our != their]
    odd += [f"too much: {part}" for part in ours[len(theirs) :]] + [f"not read: {part}" for part in theirs[len(ours) :]]
    return odd[0] if odd else None


@pytest.mark.parametrize("case", list(cases(ROOT)), ids=lambda case: case.name)
def test_parts_and_faults_are_llhttps_or_the_difference_is_listed(case: Case) -> None:
    native = pytest.importorskip("masthead._native")
    found = disagreement(case, native.parse_spans(case.data, case.response, case.finish))
    listed = differences().get(case.name)
    if listed is None:
        assert found is None, f"{found} (llhttp: {case.error})"
    else:
        assert found is not None, "listed as a difference, and is none: take it off the list"
        assert found.startswith(listed["ours"]), found


def test_the_corpus_is_there() -> None:
    if not ROOT.is_dir():
        pytest.skip(f"llhttp's cases are not at {ROOT}: set MASTHEAD_CORPORA")
    known = {case.name for case in cases(ROOT)}
    assert len(known) > 200
    assert not differences().keys() - known
