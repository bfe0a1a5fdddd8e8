"""What tests of every kind share: where they can't run they say so, and `masthead run` for those that need it."""

from __future__ import annotations

import importlib.util
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
pytest.register_assert_rewrite("tests.e2e", "tests.kernel", "tests.sinks")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.capture import Capture


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: takes minutes; left out unless asked for with -m soak")


def why_not() -> str | None:
    """Return what keeps `masthead run` from running here, if anything."""
    if os.geteuid() != 0:
        return "needs root"
    if importlib.util.find_spec("masthead") is None or importlib.util.find_spec("masthead._native") is None:
        return "masthead and its extension are not installed"
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reason = why_not()
    for item in items:
        if reason and (item.get_closest_marker("e2e") or item.get_closest_marker("kernel")):
            item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("soak") and "soak" not in config.option.markexpr:
            item.add_marker(pytest.mark.skip(reason="takes minutes: run it with pytest -m soak"))


@pytest.fixture
def capture_with(tmp_path: Path) -> Iterator[Callable[..., Capture]]:
    """Start `masthead run` with further arguments; what still runs after the test is ended and its ledger checked."""
    from tests.e2e.capture import Capture  # noqa: PLC0415

    with ExitStack() as stack:

        def start(*more: str, prefix: tuple[str, ...] = (), directory: Path | None = None) -> Capture:
            directory = directory or tmp_path / f"masthead-{len(list(tmp_path.glob('masthead-*')))}"
            directory.mkdir(exist_ok=True)
            return stack.enter_context(Capture(directory, *more, prefix=prefix))

        yield start


@pytest.fixture
def capture(capture_with: Callable[..., Capture]) -> Capture:
    """`masthead run`, ready."""
    return capture_with()
