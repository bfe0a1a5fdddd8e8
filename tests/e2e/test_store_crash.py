"""A store whose writer is killed at any moment, and one whose disk is full: what was promised is there, once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from tests.e2e.waiting import Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parents[2]


class Writing:
    """A process that appends numbered rows."""

    def __init__(self, root: Path, first: int) -> None:
        command = [sys.executable, "-m", "tests.e2e.store_writer", str(root), str(first)]
        self._process = subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._process.stdout
        assert self._process.stderr
        self.lines, self.complaints = Lines(self._process.stdout), Lines(self._process.stderr)

    def wait_for_rows(self) -> None:
        self.lines.wait(lambda lines: lines, "the first rows are written")

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def promised(self) -> set[int]:
        """Numbers of the rows that were said to be kept; a batch fails or is kept as a whole."""
        self.complaints.finish()
        kept: set[int] = set()
        before: int | None = None
        for line in self.lines.finish():
            words = line.split()
            # The last line may be cut.
            if len(words) == 2 and line.endswith(b"\n"):
                behind, failed = int(words[0]), int(words[1])
                begin = behind - 40 if before is None else before
                before = behind
                if not failed:
                    kept.update(range(begin, behind))
        return kept


def numbers(root: Path) -> list[int]:
    """Give the rows of a store by number; all its parts are readable and hold what was written."""
    reader = DuckReader(root, Limits(threads=2))
    assert reader.problems == []
    assert not reader.recheck(), reader.problems
    sql = """
        SELECT exchange_id::BIGINT FROM exchanges
        WHERE request_fields[1].value = exchange_id AND status = CASE WHEN exchange_id::BIGINT % 10 = 0 THEN 500 ELSE 200 END
        ORDER BY 1
    """  # noqa: E501 - one condition
    found = [row[0] for row in reader.ask(sql).rows()]
    assert reader.ask("SELECT count(*) FROM exchanges").rows() == [(len(found),)]
    reader.close()
    return found


def kill_again_and_again(root: Path, times: int, seed: int) -> None:
    draw, first = random.Random(seed), 0
    for turn in range(times):
        writing = Writing(root, first)
        writing.wait_for_rows()
        # No condition to wait for: the moment has to be random.
        threading.Event().wait(draw.uniform(0, 0.3))
        writing.kill()
        promised, found = writing.promised(), numbers(root)
        assert found == list(range(len(found))), f"rows are missing or there twice after kill {turn}"
        assert len(found) > max(promised), f"promised rows are missing after kill {turn}"
        first = len(found)
    assert list((root / "parts").rglob("*.parquet"))


def test_after_8_kills_every_promised_row_is_there_once(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "store", times=8, seed=1)


@pytest.mark.soak
def test_after_200_kills_every_promised_row_is_there_once(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "store", times=200, seed=2)


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_on_a_full_disk_rows_are_refused_and_counted_and_the_kept_ones_are_there(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "3m") as disk:
        ballast, root = disk / "ballast", disk / "store"
        ballast.write_bytes(bytes(1 << 20))
        writing = Writing(root, 0)

        def refused(lines: list[bytes]) -> bool:
            return any(not line.endswith(b" 0\n") for line in lines[:-1])

        writing.lines.wait(refused, "the disk is full")
        ballast.unlink()
        full = len(writing.lines.so_far())

        def goes_on(lines: list[bytes]) -> bool:
            return any(line.endswith(b" 0\n") for line in lines[full:])

        writing.lines.wait(goes_on, "rows are kept again after room was made")
        writing.kill()
        promised, found = writing.promised(), numbers(root)
        assert len(found) == len(set(found))
        assert promised <= set(found)
        # A batch can be on the disk whose acknowledgement was on its way when the process died: no more than that.
        assert len(set(found) - promised) <= 40
        assert "No space left" in writing.complaints.text()


def test_killed_on_a_full_disk_it_starts_again_and_has_what_it_promised(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "3m") as disk:
        root, kept, first = disk / "store", set[int](), 0
        for _ in range(3):
            writing = Writing(root, first)
            writing.lines.wait(lambda lines: any(not line.endswith(b" 0\n") for line in lines[:-1]), "the disk is full")
            first = int(writing.lines.so_far()[-1].split()[0]) + 40_000
            writing.kill()
            kept |= writing.promised()
            found = numbers(root)
            assert len(found) == len(set(found))
            assert kept <= set(found)
