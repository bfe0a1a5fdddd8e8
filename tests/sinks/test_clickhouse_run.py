"""`masthead run --store clickhouse://...` under load: the database is killed in the middle, and every call is there."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from masthead.clickhouse.tables import Layout, initialise
from tests.e2e.servers import SPECS, serving
from tests.e2e.test_store_run import FLAGS, load
from tests.e2e.waiting import wait_for
from tests.sinks.house import MISSING, House

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.capture import Capture

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.sinks,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
    pytest.mark.skipif(shutil.which("wrk") is None or shutil.which("nginx") is None, reason="wrk or nginx is missing"),
]


def test_every_call_is_there_once_when_the_database_was_killed(
    tmp_path: Path, capture_with: Callable[..., Capture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", House.password)
    folder = tmp_path / "nginx"
    folder.mkdir()
    house = House(tmp_path / "data").start()
    initialise(house.client, Layout(ages={}))
    with serving(SPECS[0], folder) as nginx:
        capture = capture_with("--store", house.place, "--port", str(nginx.port), *FLAGS)
        with load(nginx, tmp_path):
            wait_for(house.count, "the first rows are there")
            house.kill()
            capture.said("rows wait in the spool")
            house.start()
            before = house.count()
            wait_for(lambda: house.count() > before, "rows come again", 60)
        capture.finish()
        calls = nginx.record.read_bytes().count(b"\n")
        words = b"".join(capture.words.finish()).decode()
    if "rows wait in the spool for the next start" in words:
        # What was left goes with the next start: as a service that is restarted does.
        later = capture_with("--store", house.place, "--port", str(nginx.port), *FLAGS, directory=capture.directory)
        wait_for(lambda: house.count() >= calls, "what was spooled is there", 120)
        later.finish()
    targets = house.client.execute(
        "SELECT count(), uniqExact(target), uniqExact(exchange_id) FROM exchanges FORMAT TSV"
    )
    assert targets.split() == [str(calls)] * 3, words
    house.kill()
