"""HTTP/2 made by the Python library `h2`: rows say what was said on their streams, from anywhere and after losses."""

from __future__ import annotations

import importlib.util
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.corpora import captures, h2_calls

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from tests.corpora.h2_calls import Call, Packet

Row = dict[str, Any]
Field = tuple[str | None, str | None]
Section = list[Field]

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(importlib.util.find_spec("masthead._native") is None, reason="the extension is not installed"),
]

SEEDS = range(8)
CALLS = 120
# What a loss or a late start may leave on a row.
EXCUSES = {"joined", "gap", "no_request", "no_response", "reset", "hpack_unresolved"}


def replayed(directory: Path, sent: list[Packet], kept: Container[int]) -> dict[int, Row]:
    """The rows of a capture of these packets by their stream; each stream has one, and the account is closed."""
    path = directory / "h2.pcap"
    h2_calls.write_pcap(path, sent, kept)
    rows, said = captures.masthead([path])
    assert "everything is accounted for" in said, said
    by_stream = {int(row["masthead"]["exchange_id"].rsplit("-", 1)[1]): row for row in rows}
    assert len(by_stream) == len(rows), "two rows of one stream"
    return by_stream


def request_sections(row: Row) -> list[Section]:
    """The request's head, with the pseudo-header fields that are known, and its trailers."""
    request, more = row["http"].get("request", {}), row["masthead"]
    if "no_request" in more["quality"]:
        return []
    pseudo = [
        (":method", request.get("method")),
        (":path", more.get("target")),
        (":authority", more.get("authority")),
    ]
    head = [pair for pair in pseudo if pair[1] is not None]
    sections = [[*head, *map(tuple, request.get("header", []))]]
    return [*sections, list(map(tuple, more.get("request_trailers", [])))]


def response_sections(row: Row) -> list[Section]:
    """The heads of the responses, with their status where it is known, and the trailers."""
    response, more = row["http"].get("response", {}), row["masthead"]
    heads = [(item.get("status"), item["header"]) for item in more.get("interim", [])]
    heads.append((response.get("status_code"), response.get("header", [])))
    sections = [[*([(":status", str(status))] if status else []), *map(tuple, fields)] for status, fields in heads]
    return [*sections, list(map(tuple, more.get("response_trailers", [])))]


def said_sections(call: Call, side: str) -> list[Section]:
    """What was said, in the same form."""
    if side == "request":
        head: Section = [(":method", call.method), (":path", call.target), (":authority", call.authority)]
        return [[*head, *call.request], [*call.request_trailers]]
    interim: list[Section] = [[(":status", str(status)), ("link", "</a>")] for status in call.interim]
    response: Section = [(":status", str(call.status)), *call.response] if call.status else []
    return [*interim, response, [*call.response_trailers]]


def fits(found: Section, said: Section) -> bool:
    """Whether each field is what was said at its place, or null.

    A pseudo-header field that is not known stands behind those that are; so what stands in front is only counted.
    """
    known = [pair for pair in found if pair[0] is not None and pair[0].startswith(":")]
    if not set(known) <= set(said):
        return False
    rest_said = [pair for pair in said if pair not in known]
    rest_found = [pair for pair in found if pair not in known]
    return len(rest_found) <= len(rest_said) and all(
        name in (None, right_name) and value in (None, right_value)
        for (name, value), (right_name, right_value) in zip(rest_found, rest_said, strict=False)
    )


def assert_nothing_wrong(row: Row, call: Call) -> int:
    """Each section of the row is one that was said, in their order; returns the fields that are known."""
    marks = set(row["masthead"]["quality"])
    assert marks <= EXCUSES, marks
    for side, found in (("request", request_sections(row)), ("response", response_sections(row))):
        said = [section for section in said_sections(call, side) if section]
        for section in filter(None, found):
            # In a row without losses nothing of it is left out.
            whole = "gap" not in marks
            while said and not (fits(section, said[0]) and (not whole or len(section) == len(said[0]))):
                said.pop(0)
            assert said, f"{side} {section} was not said: {said_sections(call, side)}"
            said.pop(0)
    fields = [pair for found in (request_sections(row), response_sections(row)) for part in found for pair in part]
    unresolved = sum(None in pair for pair in fields)
    assert row["masthead"].get("hpack_unresolved", 0) == unresolved
    return len(fields) - unresolved


@pytest.mark.parametrize("seed", SEEDS)
def test_every_call_is_logged_exactly(tmp_path: Path, seed: int) -> None:
    """From the first packet on: a row for each stream, each field in its place, and nothing marked but resets."""
    talk = h2_calls.talk(seed, CALLS)
    sent = h2_calls.packets(talk.writes, random.Random(seed))
    rows = replayed(tmp_path, sent, range(len(sent)))
    assert rows.keys() == talk.calls.keys()
    for stream, call in talk.calls.items():
        row = rows[stream]
        assert request_sections(row) == said_sections(call, "request"), stream
        assert response_sections(row) == said_sections(call, "response"), stream
        assert set(row["masthead"]["quality"]) == ({"no_response", "reset"} if call.reset else set())


@pytest.mark.parametrize("seed", SEEDS)
def test_joined_in_the_middle_nothing_is_wrong(tmp_path: Path, seed: int) -> None:
    """From any packet on: what is in a row was said, or is null; most of the streams that began since have a row."""
    talk = h2_calls.talk(seed, CALLS)
    sent = h2_calls.packets(talk.writes, random.Random(seed))
    known = 0
    for first in random.Random(seed).sample(range(3, len(sent) * 3 // 4), 4):
        rows = replayed(tmp_path, sent, range(first, len(sent)))
        for stream, row in rows.items():
            known += assert_nothing_wrong(row, talk.calls[stream])
        assert len(rows) > 10, f"from packet {first} of {len(sent)}: {len(rows)}"
    assert known > 500, "most of it is known"


@pytest.mark.parametrize("seed", SEEDS)
def test_after_losses_nothing_is_wrong(tmp_path: Path, seed: int) -> None:
    """Where packets are missing: what is in a row was said, or is null."""
    talk = h2_calls.talk(seed, CALLS)
    chance = random.Random(seed)
    sent = h2_calls.packets(talk.writes, chance)
    for lost in (1, 3, 10):
        kept = set(range(len(sent))) - set(chance.sample(range(2, len(sent)), lost))
        rows = replayed(tmp_path, sent, kept)
        for stream, row in rows.items():
            assert_nothing_wrong(row, talk.calls[stream])
        assert len(rows) > CALLS // 4, f"{lost} packets lost: {len(rows)} rows"
