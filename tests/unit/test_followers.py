import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE

import pytest

from masthead.errors import ConfigError
from masthead.sinks.followers import ASK_OPEN, Followers
from tests.unit.doubles import Rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "tail.sock"


@pytest.fixture
def followers(path: Path) -> Iterator[Followers]:
    followers = Followers(str(path), backlog=2_000)
    yield followers
    followers.close()


def follow(path: Path) -> socket.socket:
    follower = socket.socket(socket.AF_UNIX)
    follower.settimeout(5)
    follower.connect(str(path))
    return follower


@pytest.mark.usefixtures("followers")
def test_the_socket_is_for_its_owner_alone(path: Path) -> None:
    assert S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_made_while_nobody_listens(followers: Followers) -> None:
    rows = Rows([{"n": 1}])
    assert followers.write(rows) == 0
    assert rows.asked == 0


def test_everyone_who_listens_gets_the_rows(followers: Followers, path: Path) -> None:
    with follow(path) as one, follow(path) as other:
        rows = Rows([{"n": 1}])
        followers.write(rows)
        assert one.recv(100) == other.recv(100) == b'{"n": 1}\n'
        assert rows.asked == 1


def test_who_left_is_forgotten(followers: Followers, path: Path) -> None:
    with follow(path):
        followers.tick()
    followers.tick()
    rows = Rows([{}])
    followers.write(rows)
    assert rows.asked == 0


def test_who_is_slow_misses_rows_and_is_told_how_many(followers: Followers, path: Path) -> None:
    batch = Rows([{"n": 1, "x": "y" * 500}, {"n": 2, "x": "y" * 500}])
    with follow(path) as slow:
        while not followers.missed:
            followers.write(batch)
        followers.write(batch)
        missed = followers.missed
        got = b""
        while b'"missed"' not in got:
            got += slow.recv(1 << 20)
            followers.write(Rows([{"last": True}]))
    lines = [json.loads(line) for line in got.splitlines()[:-1]]
    told = [line["masthead"]["rows"] for line in lines if "masthead" in line]
    assert told[0] >= missed
    assert followers.missed == sum(told)


def test_a_socket_that_a_killed_service_left_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    Followers(str(path)).close()
    assert not path.exists()


def test_a_running_service_keeps_its_socket(followers: Followers, path: Path) -> None:
    with pytest.raises(ConfigError, match="another masthead run has it"):
        Followers(str(path))
    with follow(path):
        followers.tick()


def test_a_file_that_is_no_socket_is_not_removed(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("mine")
    with pytest.raises(ConfigError, match="no socket"):
        Followers(str(path))
    assert path.read_text() == "mine"


def test_the_umask_of_the_process_stays(followers: Followers) -> None:
    del followers
    before = os.umask(0o022)
    os.umask(before)
    assert before != 0o177


def test_who_asks_is_told_of_the_calls_under_way_and_nobody_else(path: Path) -> None:
    followers = Followers(str(path), open_exchanges=lambda most: Rows([{"n": 1}, {"n": most}]))
    with follow(path) as asking, follow(path) as other:
        followers.tick()
        asking.sendall(ASK_OPEN)
        followers.tick()
        followers.write(Rows([{"n": 3}]))
        told = b'{"masthead": {"event": "open", "rows": 2}}\n{"n": 1}\n{"n": 1000}\n{"n": 3}\n'
        assert asking.recv(1_000) == told
        assert other.recv(1_000) == b'{"n": 3}\n'
    followers.close()
