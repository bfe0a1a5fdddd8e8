from __future__ import annotations

import re
from pathlib import Path

import pytest

from masthead.alerts.evaluation import Evaluation
from masthead.alerts.expression import Binary, Matcher, Measure, Number, read
from masthead.alerts.expression.arguments import EXAMPLES
from masthead.alerts.expression.measures import CATALOGUE, COLUMNS, KEYS
from masthead.alerts.rules import read_rules
from masthead.errors import ConfigError
from masthead.extension import native

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/alerts.md").read_text()


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        read(text)
    return str(raised.value)


def test_a_measure_has_arguments_filters_a_range_and_keys() -> None:
    tree = read('quantile(0.95, duration){method="GET", status!~"4.."}[5m] by (route, response.header.Server) > 500ms')
    matchers = (Matcher("method", "=", "GET"), Matcher("status", "!~", "4.."))
    by = ("route", "response.header.server")
    measure = Measure("quantile", 0, ("duration",), {"share": 0.95}, None, matchers, 300.0, by)
    assert tree == Binary(">", measure, Number(0.5, 95), 93)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1.0), ("10%", 0.1), ("250ms", 0.25), ("2h", 7200.0), ("1.5MB", 1.5e6), ("3ns", 3e-9), ("2w", 1_209_600.0)],
)
def test_numbers_have_units(text: str, value: float) -> None:
    tree = read(f"calls[5m] > {text}")
    assert isinstance(tree, Binary)
    assert isinstance(tree.right, Number)
    assert tree.right.value == pytest.approx(value)


def shape(tree: object) -> object:
    if isinstance(tree, Binary):
        return [tree.sign, shape(tree.left), shape(tree.right)]
    return tree.name if isinstance(tree, Measure) else tree.value if isinstance(tree, Number) else None


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1 + calls[1m] * 2 > 3", [">", ["+", 1.0, ["*", "calls", 2.0]], 3.0]),
        ("(1 + calls[1m]) * 2 > 3", [">", ["*", ["+", 1.0, "calls"], 2.0], 3.0]),
        ("8 / calls[1m] / 2 > 1", [">", ["/", ["/", 8.0, "calls"], 2.0], 1.0]),
        ("-calls[1m] < -2", ["<", ["-", 0.0, "calls"], ["-", 0.0, 2.0]]),
        (
            "absent(calls)[1m] or calls[1m] > 1 and calls[1m] < 5",
            ["or", "absent", ["and", [">", "calls", 1.0], ["<", "calls", 5.0]]],
        ),
        (
            "calls[1m] > 1 unless calls[1m] > 2 and calls[1m] > 3",
            ["and", ["unless", [">", "calls", 1.0], [">", "calls", 2.0]], [">", "calls", 3.0]],
        ),
    ],
)
def test_precedence_is_prometheus(text: str, tree: object) -> None:
    assert shape(read(text)) == tree


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("", "expected a measure", 1),
        ("calls", "needs a range", 6),
        ("calls[5]> 1", "a range is a number with a unit", 7),
        ("calls[0s] > 1", "longer than 0", 7),
        ("calls[5m]", "always true", 1),
        ("calls[5m] > 3 > 2", "two comparisons", 15),
        ("cals[5m] > 1", 'did you mean "calls"', 1),
        ("calls[5m] by (rout) > 3", 'did you mean "route"', 15),
        ("calls[5m] by (route, route) > 3", "stands twice", 22),
        ("calls[5m] > 3 calls[5m] > 2", 'expected "and"', 15),
        ("calls[5m] > 3 and calls[5m]", "is a condition", 19),
        ("(calls[5m] > 3", 'expected ")"', 15),
        ("calls[5m] > 3x", "no unit", 13),
        ("spike(absent)[5m]", "looks at a measure", 7),
        ("spike(calls[5m])", 'expected ")"', 12),
        ("quantile(95, duration)[5m] > 1", "between 0 and 1", 10),
        ("quantile(0.5)[5m] > 1", "needs column", 1),
        ("quantile(0.5, size)[5m] > 1", "unknown column", 15),
        ("burn_rate(0.9, fast=1)[5m] > 1", 'has no "fast"', 21),
        ('status_ratio("6")[5m] > 1', "no status", 14),
        ("missing(authorization)[5m] > 1", "no field of a message", 9),
        ('calls{method~"x"}[5m] > 1', "can't be read", 13),
        ('calls{method=~"("}[5m] > 1', "no regular expression", 15),
        ("calls{method=GET}[5m] > 1", "text in quotes", 14),
        ("ledger_lost[5m] by (route) > 0", "losses have no", 21),
        ("calls[5m] by (route) / calls[5m] by (method) > 1", "a key that the other lacks", 22),
        ("calls[5m] by (route) > 1 or calls[5m] > 1", "different keys", 26),
        ("1 > 2", "two numbers", 3),
        ("(" * 60 + "1" + ")" * 60 + " > 2", "too deeply", 51),
    ],
)
def test_a_mistake_is_shown_at_its_place_with_a_remedy(text: str, message: str, column: int) -> None:
    told = refusal(text)
    assert message in told
    assert f"at column {column}\n" in told
    assert told.count("\n") == 3


def test_a_mistake_in_a_text_of_several_lines_is_shown_in_its_line() -> None:
    assert refusal("calls[5m] > 1\n  and cals[5m] > 1").split("\n")[1:3] == ["      and cals[5m] > 1", "          ^"]


def test_every_measure_has_an_example_that_is_read_and_counted(tmp_path: Path) -> None:
    assert set(EXAMPLES) == set(CATALOGUE)
    rules = "".join(
        f"[[group.rule]]\nalert = 'a{number}'\nexpr = '''{text if CATALOGUE[name].alarms else text + ' > 0'}'''\n"
        for number, (name, text) in enumerate(EXAMPLES.items())
    )
    (tmp_path / "rules.toml").write_text(f"[[group]]\nname = 'g'\n{rules}")
    evaluation = Evaluation(read_rules([str(tmp_path / "rules.toml")]), 15_000_000_000)
    native().Tally(evaluation.specification())


def test_the_page_names_every_measure_key_and_column() -> None:
    assert [name for name in (*KEYS, *COLUMNS) if f"`{name}`" not in PAGE] == []
    assert [name for name in CATALOGUE if f"`{name}[" not in PAGE and f"`{name}(" not in PAGE] == []


def examples() -> list[str]:
    whole = re.MULTILINE | re.DOTALL
    plain = re.sub(r"^```toml\n.*?^```", "", PAGE, flags=whole)
    block = next(block for block in re.findall(r"^```\n(.*?)^```", plain, whole) if "x-ratelimit" in block)
    return [line for line in block.splitlines() if line]


@pytest.mark.parametrize("text", examples())
def test_every_expression_on_the_page_is_read(text: str) -> None:
    read(text)


def test_every_measure_on_the_page_is_read() -> None:
    table = re.findall(r"^\| (`.*?) \| ", PAGE, re.MULTILINE)
    found = [text for row in table for text in re.findall(r"`([^`]+)`", row)]
    assert len(found) >= 20
    for text in found:
        whole = text.replace("KEY", "status").replace("MEASURE", "calls")
        alarms = CATALOGUE[re.split(r"[\[(]", whole)[0]].alarms
        read(whole if alarms else f"{whole} > 1")


def test_the_rules_on_the_page_and_those_that_are_shipped_are_valid(tmp_path: Path) -> None:
    (text,) = [block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "[[group]]" in block]
    (tmp_path / "page.toml").write_text(text)
    assert len(read_rules([str(tmp_path / "page.toml")])) == 1
    shipped = read_rules([str(ROOT / "deploy/alerts/*.toml")])
    assert len(shipped) == 15
    native().Tally(Evaluation(shipped, 15_000_000_000).specification())
