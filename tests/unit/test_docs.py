"""The examples in the documentation do what they say."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from tests.unit.stored import fill, random_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("store"), random_calls(8_000))


def cells() -> Iterator[str]:
    for cell in json.loads((DOCS / "store.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            yield "".join(cell["source"])


def shown(code: str, names: dict[str, Any]) -> object:
    """Run a cell as a notebook does; gives what it would show, if anything."""
    body = ast.parse(code).body
    last = body[-1]
    if not isinstance(last, ast.Expr):
        exec(code, names)
        return None
    exec(compile(ast.Module(body[:-1], []), "cell", "exec"), names)
    return repr(eval(compile(ast.Expression(last.value), "cell", "eval"), names))


def test_the_notebook_runs(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("polars", "pandas"):
        pytest.importorskip(name)
    monkeypatch.setenv("MASTHEAD_STORE_PATH", str(root))
    names: dict[str, Any] = {}
    found = [shown(code, names) for code in cells()]
    assert "/v1/orders" in str(found[1])
    assert "a.example" in str(found[3])
    assert "x-ratelimit-remaining" in str(found[4])
    assert "Host: " in capsys.readouterr().out
    assert "change" in str(found[6])


def test_the_notebook_is_kept_without_outputs() -> None:
    for cell in json.loads((DOCS / "store.ipynb").read_text())["cells"]:
        assert not cell.get("outputs")


def test_python_in_the_docs_runs(root: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "queries.md").read_text(), re.DOTALL)
    exec(code.replace("/var/lib/masthead/store", str(root)), {})


def test_sql_in_the_docs_is_answered(root: Path) -> None:
    texts = (DOCS / "queries.md", DOCS.parent / "README.md", *(DOCS.parent / "src/masthead/commands").glob("*.py"))
    asked = [
        sql for path in texts for sql in re.findall(r'masthead query "(SELECT [^.].*?)"', path.read_text(), re.DOTALL)
    ]
    assert len(asked) >= 3
    reader = DuckReader(root, Limits())
    for sql in asked:
        assert reader.ask(sql).columns
