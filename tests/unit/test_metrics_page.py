"""docs/metrics.md lists what there is."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from masthead.config import Config
from masthead.metrics.listed import LISTED, markdown

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/metrics.md").read_text()


def test_the_table_is_what_the_generator_writes() -> None:
    assert f"\n\n{markdown()}\n" in PAGE, "put the output of python -m masthead.metrics.listed into docs/metrics.md"


def test_names_are_unique() -> None:
    assert len({metric.name for metric in LISTED}) == len(LISTED)


def test_every_metric_has_a_sentence() -> None:
    assert all(metric.sentence.endswith(".") for metric in LISTED)


@pytest.mark.parametrize("text", [each.split("```")[0] for each in PAGE.split("```toml\n")[1:]])
def test_settings_on_the_page_are_settings(text: str) -> None:
    assert Config.model_validate(tomllib.loads(text)) != Config()


def test_every_file_of_dashboards_is_on_the_page() -> None:
    for file in (*(ROOT / "deploy/grafana").iterdir(), *(ROOT / "deploy/prometheus").iterdir()):
        assert file.name in PAGE
