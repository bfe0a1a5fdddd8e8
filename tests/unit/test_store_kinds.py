"""Classes of rows: from the settings to the class of each row, through the real store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from masthead.config import Config
from masthead.config.model import RowClass
from masthead.store.kinds import Kinds
from masthead.store.layout import listing
from masthead.store.writer import Writer
from tests.e2e.waiting import wait_for
from tests.unit.stored import BEGIN_NS, HOUR, batches, call

if TYPE_CHECKING:
    from pathlib import Path

OWN = RowClass(name="audit", keep="1y", paths=("/admin/*",), marks=("overlap",))


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ({"status": 200, "path": "/a"}, "default"),
        ({"status": 404, "path": "/a"}, "errors"),
        ({"status": 503, "path": "/admin/x"}, "errors"),
        ({"status": 200, "path": "/a", "quality": ["reset"]}, "errors"),
        ({"status": None, "path": "/a", "quality": ["no_response"]}, "errors"),
        ({"status": 200, "path": "/admin/x"}, "audit"),
        ({"status": 200, "path": "/a", "quality": ["joined", "overlap"]}, "audit"),
        ({"status": 200, "path": "/x/site.css"}, "static"),
        ({"status": 304, "path": "/logo.svg"}, "static"),
        ({"status": 404, "path": "/logo.svg"}, "errors"),
        ({"status": 200, "path": None}, "default"),
        ({"status": None, "path": "/a"}, "default"),
    ],
)
def test_each_row_has_one_class(tmp_path: Path, columns: dict[str, object], kind: str) -> None:
    clock = [BEGIN_NS]
    kinds = Kinds.of(Config.model_validate({"class": [OWN]}))
    writer = Writer(tmp_path / "store", kinds, sync_seconds=60, tell=print, clock_ns=lambda: clock[0])
    for number in range(2):
        clock[0] += number * HOUR
        for batch in batches([call(number, **columns)]):
            assert writer.write(batch) == 0
    wait_for(lambda: listing(tmp_path / "store").parts, "the first hour is a part")
    writer.close()
    assert [part.kind for part in listing(tmp_path / "store").parts] == [kind]


def test_ages_and_room_are_read_from_the_settings() -> None:
    kinds = Kinds.of(Config.model_validate({"class": [OWN], "retention": {"max_bytes": "2GB", "min_free": "10%"}}))
    assert kinds.names == ("errors", "audit", "static", "default")
    assert kinds.ages == {"errors": 90 * 86_400, "audit": 31_536_000, "static": 86_400, "default": 14 * 86_400}
    policy = kinds.policy(disk_bytes=1_000)
    assert (policy.max_bytes, policy.min_free) == (2_000_000_000, 100)
    assert len(json.loads(kinds.rules_json())) == len(kinds.names) - 1
