import os
from pathlib import Path
from stat import S_IMODE

import pytest

from masthead.errors import ConfigError
from masthead.key import SYSTEM_KEY, key_path, read_or_create


def test_the_key_is_made_once_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "state" / "key"
    key, created = read_or_create(path)
    assert (created, len(key)) == (True, 32)
    assert read_or_create(path) == (key, False)


def test_only_its_owner_can_read_it_and_no_draft_stays(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        read_or_create(tmp_path / "key")
    finally:
        os.umask(before)
    assert [(entry.name, S_IMODE(entry.stat().st_mode)) for entry in tmp_path.iterdir()] == [("key", 0o600)]


def test_of_two_that_make_it_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, theirs = tmp_path / "key", b"\x01" * 32

    def beaten(source: Path, target: Path) -> None:
        del source
        target.touch(mode=0o600)
        target.write_text(theirs.hex())
        raise FileExistsError

    monkeypatch.setattr(os, "link", beaten)
    assert read_or_create(path) == (theirs, False)


@pytest.mark.parametrize("text", ["", "not hexadecimal", "abcd", "00" * 15])
def test_what_is_no_key_is_refused_with_the_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="openssl rand -hex 32"):
        read_or_create(path)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    read_or_create(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="mode 0640"):
        read_or_create(path)


def test_a_place_where_no_key_can_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file/key: no key for the pseudonyms"):
        read_or_create(tmp_path / "file" / "key")


def test_root_uses_the_systems_key_and_others_their_own() -> None:
    assert key_path("/x", {}, root=True) == Path("/x")
    assert key_path("", {"HOME": "/h"}, root=True) == SYSTEM_KEY
    assert key_path("", {"HOME": "/h"}, root=False) == Path("/h/.local/state/masthead/key")
    assert key_path("", {"HOME": "/h", "XDG_STATE_HOME": "/s"}, root=False) == Path("/s/masthead/key")
