from typing import Any

import pytest

from masthead.errors import UsageError
from masthead.where import FIELDS, compile_expression

ROW: dict[str, Any] = {
    "http": {
        "request": {"method": "POST", "header": {"x-tenant": ["acme", "other"], "x!#$%": ["odd"]}},
        "response": {"status_code": 503, "header": {"content-length": ["1200"]}},
        "route": "/v1/items/{id}",
    },
    "url": {"path": "/v1/items/7", "query": "a=b"},
    "masthead": {"authority": "api.example", "ttfb_ns": 250_000_000, "quality": ["gap", "cut"], "role": "server"},
    "process": {"pid": 7, "executable": {"path": "/usr/sbin/nginx"}},
    "server": {"port": 8080},
}


@pytest.mark.parametrize(
    "text",
    [
        "status >= 500",
        "status == 503 and port < 9000",
        'path ~ "/v1/*"',
        "path ~ '/v?/items/[0-9]'",
        'path !~ "/v2/*"',
        'route == "/v1/items/{id}" and route ~ "/v1/*"',
        'method == "POST"',
        'method != "GET"',
        'req.x-tenant == "acme"',
        'req.X-Tenant == "other"',
        "req.x-tenant",
        'req.x!#$% == "odd"',
        "resp.content-length > 1000",
        "res.content-length",
        "not req.x-missing",
        'req.x-missing != "a"',
        "ttfb >= 250ms",
        "ttfb > 0.2s",
        "ttfb < 300000us",
        'mark == "gap" and mark == "cut"',
        'mark != "reset"',
        'process == "nginx"',
        'process == "/usr/sbin/nginx"',
        'status == 200 or role == "server"',
        'status == 200 and pid == 7 or role == "server"',
        "not (status == 200 or pid == 8)",
        "not not status",
        "status==503",
        'query == "a=b" and not client',
    ],
)
def test_what_holds_of_the_row_holds(text: str) -> None:
    assert compile_expression(text)(ROW)
    assert not compile_expression(f"not ({text})")(ROW)


@pytest.mark.parametrize("text", ["status", "status != 200", "path ~ '*'", "duration > 1ns", "req.a == 'b'"])
def test_any_row_can_be_asked_anything(text: str) -> None:
    strange: list[dict[str, Any]] = [{}, {"http": None}, {"http": {"response": 3}}, {"url": []}]
    for row in strange:
        compile_expression(text)(row)


def test_and_binds_closer_than_or() -> None:
    assert compile_expression("status or status == 1 and status == 2")(ROW)
    assert not compile_expression("(status or status == 1) and status == 2")(ROW)


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("", 0, "expected a name"),
        ("stats > 3", 0, 'did you mean "status"?'),
        ("nonsense > 3", 0, "known: status, method"),
        ("req. == 'a'", 0, "unknown name"),
        ("status = 3", 7, "can't be read"),
        ("status >", 8, "expected a number or a text"),
        ("status >= 'x'", 10, "expected a number"),
        ("path > 'a'", 7, "compares numbers"),
        ("path ~ 5", 7, "takes a pattern in quotes"),
        ("ttfb > 3", 7, "a time needs its unit"),
        ("ttfb > 3h", 7, "a time needs its unit"),
        ("status > 3ms", 9, '"ms" is no unit'),
        ("mark == 3", 8, "a mark is a text"),
        ("(status > 3", 11, 'expected ")"'),
        ("status > 3 status", 11, 'expected "and"'),
        ("status > 3)", 10, 'expected "and"'),
        ("method == 'a", 10, "can't be read"),
        ("(" * 60 + "status", 50, "nested too deeply"),
        ("not " * 60 + "status", 200, "nested too deeply"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, at: int, message: str) -> None:
    with pytest.raises(UsageError, match="--where") as raised:
        compile_expression(text)
    what, shown, caret = str(raised.value).splitlines()[:3]
    assert message in what
    assert shown == f"    {text}"
    assert caret == f"    {' ' * at}^"


def test_every_name_stands_in_the_row_where_the_schema_says() -> None:
    from masthead.schema import COLUMNS  # noqa: PLC0415 - only this claim needs it

    places = {column.place for column in COLUMNS}
    assert {field.place for field in FIELDS.values()} <= places
