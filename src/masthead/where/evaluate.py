r"""Read a filter expression and make a predicate of it.

    expression = term { "or" term }
    term       = factor { "and" factor }
    factor     = "not" factor | "(" expression ")" | comparison
    comparison = name [ operator value ]
    name       = one of FIELDS | "req." field name | "resp." field name
    operator   = "==" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"
    value      = number [ "ns" | "us" | "ms" | "s" ] | "text" | 'text'

A name alone asks whether the value is there. `~` compares with a glob (`*`, `?`, `[...]`). Where a field occurs
several times, one match is enough; `!=` and `!~` are the opposites of `==` and `~`, so they hold when it is absent.
"""

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn, TypeAlias

from masthead.errors import UsageError
from masthead.where.fields import FIELDS, SIDES, UNITS, header_values, values_at

Row: TypeAlias = Mapping[str, object]
Predicate: TypeAlias = Callable[[Row], bool]
Values: TypeAlias = Callable[[Row], list[object]]

_TOKEN = re.compile(
    r"(?P<blank>\s+)"
    r"|(?P<number>\d+(?:\.\d+)?(?P<unit>[A-Za-z]+)?)"
    r"""|(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    r"|(?P<operator>==|!=|<=|>=|!~|<|>|~)"
    r"|(?P<bracket>[()])"
    # After `req.` anything that RFC 9110 allows in a field name and that is no operator of ours.
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_.!#$%&*+^`|-]*)"
)
_ORDER: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {**_ORDER, "==": operator.eq}
# An expression is written by hand; what nests deeper than this is not.
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def compile_expression(text: str) -> Predicate:
    """Give the predicate of an expression.

    Raises:
        UsageError: It can't be read; the message points at the place.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._next = 0
        self._depth = 0

    def read(self) -> Predicate:
        predicate = self._expression()
        if self._token.kind != "end":
            self._fail('expected "and", "or" or the end')
        return predicate

    def _expression(self) -> Predicate:
        terms = [self._term()]
        while self._accept("name", "or"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else lambda row: any(term(row) for term in terms)

    def _term(self) -> Predicate:
        factors = [self._factor()]
        while self._accept("name", "and"):
            factors.append(self._factor())
        return factors[0] if len(factors) == 1 else lambda row: all(factor(row) for factor in factors)

    def _factor(self) -> Predicate:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._fail("nested too deeply")
        predicate = self._nested()
        self._depth -= 1
        return predicate

    def _nested(self) -> Predicate:
        if self._accept("name", "not"):
            negated = self._factor()
            return lambda row: not negated(row)
        if self._accept("bracket", "("):
            inner = self._expression()
            if not self._accept("bracket", ")"):
                self._fail('expected ")"')
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        name = self._token
        if name.kind != "name":
            self._fail("expected a name such as status, path or req.host")
        values, kind = self._name(name)
        self._next += 1
        if self._token.kind != "operator":
            return lambda row: bool(values(row))
        sign = self._token.text
        self._next += 1
        value = self._value(kind, sign)
        self._next += 1
        return _compared(values, sign, value, loose=name.text == "process")

    def _name(self, token: _Token) -> tuple[Values, str]:
        side, dot, header = token.text.partition(".")
        if dot and side in SIDES and header:
            place, wanted = SIDES[side], header.lower()
            return (lambda row: header_values(row, place, wanted)), "text"
        if token.text not in FIELDS:
            close = get_close_matches(token.text, FIELDS, n=1)
            meant = f'; did you mean "{close[0]}"?' if close else f"; known: {', '.join(FIELDS)}, req.NAME, resp.NAME"
            self._fail(f'unknown name "{token.text}"{meant}')
        field = FIELDS[token.text]
        return (lambda row: values_at(row, field.place)), field.kind

    def _value(self, kind: str, sign: str) -> str | float:
        token = self._token
        if token.kind not in ("text", "number"):
            self._fail('expected a number or a text in quotes, such as "POST"')
        if token.kind == "text":
            if sign in _ORDER or kind in ("number", "time"):
                self._fail("expected a number here" if kind != "text" else f'"{sign}" compares numbers, not text')
            return re.sub(r"\\(.)", r"\1", token.text[1:-1])
        if sign in ("~", "!~"):
            self._fail(f'"{sign}" takes a pattern in quotes, such as "/v1/*"')
        return self._number(token, kind)

    def _number(self, token: _Token, kind: str) -> float:
        digits = token.text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        unit = token.text[len(digits) :]
        if kind == "time":
            if unit not in UNITS:
                self._fail("a time needs its unit: ns, us, ms or s, such as 250ms")
            return float(digits) * UNITS[unit]
        if unit:
            self._fail(f'"{unit}" is no unit of this value')
        if kind == "marks":
            self._fail('a mark is a text in quotes, such as "gap"')
        return float(digits)

    def _split(self) -> list[_Token]:
        tokens, at = [], 0
        while at < len(self._text):
            found = _TOKEN.match(self._text, at)
            if found is None:
                _refuse(self._text, at, "this can't be read")
            # `unit` is inside `number`: the outer group names the token.
            kind = "number" if found.group("number") else str(found.lastgroup)
            if kind != "blank":
                tokens.append(_Token(kind, found.group(), at))
            at = found.end()
        return [*tokens, _Token("end", "", len(self._text))]

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _accept(self, kind: str, text: str) -> bool:
        if (self._token.kind, self._token.text) != (kind, text):
            return False
        self._next += 1
        return True

    def _fail(self, what: str) -> NoReturn:
        _refuse(self._text, self._token.at, what)


def _refuse(text: str, at: int, what: str) -> NoReturn:
    raise UsageError(f"{what}\n    {text}\n    {' ' * at}^", "--where", 'example: status >= 500 and path ~ "/v1/*"')


def _compared(values: Values, sign: str, value: str | float, *, loose: bool) -> Predicate:
    if sign in ("!=", "!~"):
        positive = _compared(values, sign.replace("!=", "==").replace("!~", "~"), value, loose=loose)
        return lambda row: not positive(row)
    if isinstance(value, float):
        compare = _COMPARISONS[sign]
        wanted = value
        return lambda row: any(compare(number, wanted) for number in map(_as_number, values(row)) if number is not None)
    matches = _glob(value) if sign == "~" else _same(value)
    return lambda row: any(matches(form) for text in values(row) for form in _forms(str(text), loose=loose))


def _glob(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(fnmatch.translate(pattern))
    return lambda text: compiled.match(text) is not None


def _same(wanted: str) -> Callable[[str], bool]:
    return lambda text: text == wanted


def _forms(text: str, *, loose: bool) -> tuple[str, ...]:
    return (text, text.rsplit("/", 1)[-1]) if loose else (text,)


def _as_number(value: object) -> float | None:
    """Give a number; header values are text, `resp.content-length > 1000` is meant all the same."""
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(str(value))
    except ValueError:
        return None
