"""`masthead store ship` against a real S3 server, judged by the server's own files."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from masthead.store.layout import Part, hour_of, listing
from masthead.store.ship import Target, finished, missing
from tests.e2e import s3
from tests.e2e.capture import masthead
from tests.e2e.servers import free_port
from tests.unit.stored import fill, random_calls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = s3.SECRET
PREFIX = "gateways/one"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    with s3.serving(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def bucket(server: s3.S3, request: pytest.FixtureRequest) -> str:
    """A bucket of the test's own."""
    name = f"b{abs(hash(request.node.name)):x}"[:40]
    (server.folder / name).mkdir()
    return name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store of three hours, long over; the last one's rows are in a journal."""
    return fill(tmp_path / "store", random_calls(8_000))


def ship(server: s3.S3, bucket: str, root: Path, *more: str, **environ: str) -> subprocess.CompletedProcess[str]:
    keys = {"AWS_ACCESS_KEY_ID": s3.KEY, "AWS_SECRET_ACCESS_KEY": SECRET, **environ}
    command = [*masthead(), "store", "ship", f"s3://{bucket}/{PREFIX}", "--store", str(root)]
    return subprocess.run(
        [*command, "--endpoint", server.endpoint, *more],
        env={**os.environ, **keys},
        capture_output=True,
        text=True,
        check=False,
    )


def expected(root: Path) -> dict[str, bytes]:
    return {f"{PREFIX}/{part.place}": (root / part.place).read_bytes() for part in listing(root).parts}


def test_every_part_arrives_byte_for_byte_and_only_once(server: s3.S3, bucket: str, root: Path) -> None:
    tried = ship(server, bucket, root, "--dry-run")
    assert "4 parts" in tried.stderr
    assert server.objects(bucket) == {}
    first = ship(server, bucket, root)
    assert (first.returncode, first.stderr.splitlines()[-1][:25]) == (0, "masthead: 4 parts copied "), first.stderr
    assert server.objects(bucket) == expected(root)
    before = {path: path.stat().st_mtime_ns for path in (server.folder / bucket).rglob("*.parquet")}
    again = ship(server, bucket, root)
    assert "0 parts copied" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_is_there_in_part_is_copied_anew(server: s3.S3, bucket: str, root: Path) -> None:
    place, content = next(iter(expected(root).items()))
    half = server.folder / bucket / place
    half.parent.mkdir(parents=True)
    half.write_bytes(content[: len(content) // 2])
    assert ship(server, bucket, root).returncode == 0
    assert server.objects(bucket) == expected(root)


def test_a_damaged_part_is_named_and_not_copied(server: s3.S3, bucket: str, root: Path) -> None:
    damaged = listing(root).parts[0]
    content = bytearray((root / damaged.place).read_bytes())
    content[len(content) // 2] ^= 1
    (root / damaged.place).write_bytes(content)
    done = ship(server, bucket, root)
    assert done.returncode == 1
    assert damaged.place in done.stderr
    assert server.objects(bucket).keys() == expected(root).keys() - {f"{PREFIX}/{damaged.place}"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret-of-somebody"}, "access denied"),
        ({"bucket": "nowhere"}, "there is no such bucket"),
        ({"endpoint": "dead"}, "error sending request"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_without_the_secret(
    server: s3.S3, bucket: str, root: Path, change: dict[str, str], said: str
) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}" if "endpoint" in change else server.endpoint
    environ = {name: value for name, value in change.items() if name.startswith("AWS")}
    target = s3.S3(endpoint, server.folder, server.pid)
    done = ship(target, change.get("bucket", bucket), root, **environ)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert "secret-of" not in done.stderr


def test_after_the_server_was_killed_the_next_run_goes_on(tmp_path: Path, root: Path) -> None:
    port = free_port()
    with s3.serving(tmp_path / "s3", port) as server:
        (server.folder / "bucket").mkdir()
        os.kill(server.pid, signal.SIGKILL)
        assert ship(server, "bucket", root).returncode == 2
    with s3.serving(tmp_path / "s3", port) as server:
        assert ship(server, "bucket", root).returncode == 0
        assert server.objects("bucket") == expected(root)


@pytest.mark.parametrize("text", ["bucket", "s3://", "https://x/y", "s3://key:secret@bucket/x", "s3://b?x=1"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    done = subprocess.run([*masthead(), "store", "ship", text], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "s3://bucket/prefix" in done.stderr


def test_only_what_will_not_change_any_more_is_finished() -> None:
    def part(number: int, hour: str) -> Part:
        return Part(hour, "default", number, number, rows=1, version=1, crc=0, bytes=10)

    alone, first, second = part(1, "20260801T00"), part(2, "20260801T01"), part(3, "20260801T01")
    current = part(4, "20260801T02")
    assert finished([current, second, first, alone], "20260801T02") == [alone]
    assert finished([current], hour_of(1_785_542_400 * 10**9 + 4 * 3_600 * 10**9)) == [current]
    assert missing([alone, current], {alone.place: 10, current.place: 9}) == [current]
    assert Target.parse("s3://a/b/c/") == Target("a", "b/c")
