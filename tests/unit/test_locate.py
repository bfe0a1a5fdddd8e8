import tomllib

import pytest

from masthead.config.locate import Path, line_of, positions

TEXT = '''\
# a comment with [brackets] = "and quotes"
top = 1

[table]
plain = "a # no comment"
a.dotted."quoted key" = true
text = """
[not.a.table]
key = 1 \\""" """
literal = \'\'\'
x = 2\'\'\'
list = [
  1,  # one
  [2, 3],
  "]",
]
inline = { x = 1, y = { z = [1, 2] } }

[[many]]
name = "first"
[many.inner]
deep = 1
[[many]]
name = "second"
[[many.sub]]
leaf = 1
[[many.sub]]
leaf = 2

[ spaced . "out" ]
key = 2024-01-01 10:00:00
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("table",), 4),
        (("table", "plain"), 5),
        (("table", "a", "dotted", "quoted key"), 6),
        (("table", "text"), 7),
        (("table", "literal"), 10),
        (("table", "list", 0), 13),
        (("table", "list", 1, 1), 14),
        (("table", "list", 2), 15),
        (("table", "inline", "y", "z", 1), 17),
        (("many", 0, "name"), 20),
        (("many", 0, "inner", "deep"), 22),
        (("many", 1, "name"), 24),
        (("many", 1, "sub", 0, "leaf"), 26),
        (("many", 1, "sub", 1, "leaf"), 28),
        (("spaced", "out", "key"), 31),
    ],
)
def test_a_key_is_found_in_its_line(path: Path, line: int) -> None:
    assert positions(TEXT)[path] == line


def paths_of(value: object, path: Path = ()) -> set[Path]:
    found = {path} if path else set()
    if isinstance(value, dict):
        found |= {inner for key, item in value.items() for inner in paths_of(item, (*path, key))}
    elif isinstance(value, list):
        found |= {inner for index, item in enumerate(value) for inner in paths_of(item, (*path, index))}
    return found


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "",
        "\n\n",
        "a=1",
        "a = [ ]\nb = {}\r\nc = 'x'\r\n",
        'a = """"quoted""""\nb = 1',
        'a = "\\\\"\nb = "\\"]"',
        "a = [\n  # only a comment\n]\nb = 1",
        "[[t]]\n[[t]]\n[[t]]\nx = [{ y = 1 }, { y = 2 }]",
        "1.2 = 3\n",
    ],
)
def test_every_path_that_tomllib_reads_has_a_line(text: str) -> None:
    assert paths_of(tomllib.loads(text)) <= set(positions(text))


def test_what_has_no_line_of_its_own_has_that_of_what_it_stands_in() -> None:
    lines = positions("[a]\nb = 1")
    assert line_of(lines, ("a", "missing", 3)) == 1
    assert line_of(lines, ("elsewhere",)) is None
