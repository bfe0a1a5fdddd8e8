from importlib.util import find_spec
from pathlib import Path

import pytest

from masthead.schema import COLUMNS, markdown
from tests.unit.arrow_types import columns_of

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_generator_writes() -> None:
    page = (ROOT / "docs/schema.md").read_text()
    assert page == markdown(), "run: python -m masthead.schema > docs/schema.md"


def test_names_and_places_are_unique() -> None:
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)
    assert len({column.place for column in COLUMNS}) == len(COLUMNS)


def test_every_column_has_a_sentence() -> None:
    assert all(column.sentence.endswith(".") for column in COLUMNS)


@pytest.mark.skipif(find_spec("masthead._native") is None, reason="the extension is not built")
def test_the_extension_builds_the_same_columns() -> None:
    from masthead import _native  # noqa: PLC0415 - it may not be there

    assert columns_of(_native.schema()) == [(column.name, column.type) for column in COLUMNS]
