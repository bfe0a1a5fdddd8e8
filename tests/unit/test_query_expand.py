import pytest

from masthead.errors import QueryError
from masthead.query.dialect import ClickHouse, Duck
from masthead.query.expand import expand

NOW = 1_785_542_400_000_000_000


def expanded(sql: str) -> str:
    return expand(sql, Duck(), lambda: NOW)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("req('Host')", "header(request_fields, 'Host')"),
        ("RESP ( 'it''s' )", "header(response_fields, 'it''s')"),
        ("req_all('accept')", "header_all(request_fields, 'accept')"),
        ("resp_all('set-cookie')", "header_all(response_fields, 'set-cookie')"),
        ("ago('1h')", f"make_timestamp_ns({NOW - 3_600 * 10**9})"),
    ],
)
def test_short_forms_become_what_the_engine_has(short: str, long: str) -> None:
    assert expanded(f"SELECT {short}, 1") == f"SELECT {long}, 1"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'req(''x'')'",
        "SELECT \"req('x')\"",
        "SELECT 1 -- req('x')\n",
        "SELECT /* req('x') */ 1",
        "SELECT $$req('x')$$",
        "SELECT t.req('x'), myreq('x'), req(name)",
    ],
)
def test_texts_comments_and_other_functions_are_left_alone(sql: str) -> None:
    assert expanded(sql) == sql


def test_quotes_in_a_name_stay_inside_it_in_either_dialect() -> None:
    sql = r"req('a\''); DROP')"
    assert expand(sql, Duck(), lambda: NOW) == r"header(request_fields, 'a\''); DROP')"
    assert r"'a\\\'); drop'" in expand(sql, ClickHouse(), lambda: NOW)


@pytest.mark.parametrize("age", ["yesterday", "forever", ""])
def test_an_age_that_is_none_is_refused(age: str) -> None:
    with pytest.raises(QueryError, match="ago"):
        expanded(f"ago('{age}')")
