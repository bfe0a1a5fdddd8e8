r"""Read an expression.

    condition  = both { "or" both }
    both       = comparison { ( "and" | "unless" ) comparison }
    comparison = sum [ ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) sum ]
    sum        = product { ( "+" | "-" ) product }
    product    = factor { ( "*" | "/" ) factor }
    factor     = [ "-" ] ( number | "(" condition ")" | measure range [ "by" "(" key { "," key } ")" ] )
    measure    = name [ "(" argument { "," argument } ")" ] [ "{" matcher { "," matcher } "}" ]
    argument   = [ name "=" ] number | key | "text" | measure
    matcher    = key ( "=" | "!=" | "=~" | "!~" ) "text"
    range      = "[" number with a unit of time "]"
    number     = digits [ "ns" | "us" | "ms" | "s" | "m" | "h" | "d" | "w" | "%" | "kB" | "MB" | "GB" ]

Precedence and `and`, `or`, `unless` are Prometheus'. What a measure takes is checked here too, so that every mistake is
shown at its place; what the two sides of a sign must have in common is checked by `sides`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, NoReturn

from masthead.alerts.expression.arguments import Argument, bind, known_key
from masthead.alerts.expression.measures import BASELINED, CATALOGUE
from masthead.alerts.expression.nodes import COMPARISONS, Binary, Matcher, Measure, Number
from masthead.alerts.expression.sides import check_sides
from masthead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from masthead.alerts.expression.nodes import Node

_TOKEN = re.compile(
    r"(?P<blank>\s+|\#[^\n]*)"
    r"|(?P<number>\d+(?:\.\d+)?(?P<unit>[A-Za-z]+|%)?)"
    r"""|(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    r"|(?P<sign>==|!=|=~|!~|<=|>=|[-+*/<>=(){}\[\],])"
    # A field name can have a hyphen; between two measures a minus has brackets on both sides.
    r"|(?P<name>[A-Za-z_](?:[A-Za-z0-9_.]|-(?=[A-Za-z0-9]))*)"
)
TIMES = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_UNITS = {**TIMES, "": 1.0, "%": 0.01, "kB": 1e3, "MB": 1e6, "GB": 1e9}
# An expression is written by hand; what nests deeper than this is not.
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def read(text: str) -> Node:
    """Give the tree of a condition.

    Raises:
        ConfigError: It can't be read, or is no condition; the message points at the place.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._next = 0
        self._depth = 0

    def read(self) -> Node:
        tree = self._condition()
        if self._token.kind != "end":
            self._fail('expected "and", "or", "unless" or the end', "an expression is one condition")
        check_sides(tree, self._refuse)
        return tree

    def _condition(self) -> Node:
        return self._chain(self._both, ("or",))

    def _both(self) -> Node:
        return self._chain(self._comparison, ("and", "unless"))

    def _comparison(self) -> Node:
        left, token = self._sum(), self._token
        if token.text not in COMPARISONS:
            return left
        self._next += 1
        tree = Binary(token.text, left, self._sum(), token.at)
        if self._token.text in COMPARISONS:
            self._fail("two comparisons in a row", 'join them with "and"')
        return tree

    def _sum(self) -> Node:
        return self._chain(self._product, ("+", "-"))

    def _product(self) -> Node:
        return self._chain(self._factor, ("*", "/"))

    def _chain(self, part: Callable[[], Node], signs: tuple[str, ...]) -> Node:
        tree = part()
        while (token := self._token).text in signs and token.kind != "text":
            self._next += 1
            tree = Binary(token.text, tree, part(), token.at)
        return tree

    def _factor(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._fail("nested too deeply", "split it into several rules")
        tree = self._nested()
        self._depth -= 1
        return tree

    def _nested(self) -> Node:
        token = self._token
        if self._accept("-"):
            return Binary("-", Number(0, token.at), self._factor(), token.at)
        if self._accept("("):
            tree = self._condition()
            self._expect(")")
            return tree
        if token.kind == "number":
            return Number(self._number(), token.at)
        if token.kind == "name":
            return self._measured()
        return self._fail("expected a measure or a number", "such as error_ratio[5m] > 5%")

    def _measured(self) -> Measure:
        measure = self._measure()
        if not self._accept("["):
            self._fail(f"{measure.name} needs a range of time", f"such as {measure.name}[5m]")
        place = self._token
        seconds = self._number(self._fail_range, TIMES)
        if seconds <= 0:
            self._refuse(place.at, "a range is longer than 0", "such as [5m]")
        self._expect("]")
        by = self._by() if self._token.text == "by" else ()
        return Measure(
            *(measure.name, measure.at, measure.texts, measure.numbers, measure.inner, measure.matchers), seconds, by
        )

    def _measure(self) -> Measure:
        token = self._token
        if token.text not in CATALOGUE:
            self._fail(
                f'unknown measure "{token.text}"{_meant(token.text, CATALOGUE)}', f"known: {', '.join(CATALOGUE)}"
            )
        self._next += 1
        arguments = self._arguments() if self._accept("(") else []
        inner, texts, numbers = bind(token.text, token.at, arguments, self._refuse)
        matchers = self._matchers(token.text) if self._accept("{") else ()
        if inner and inner.matchers:
            matchers = (*inner.matchers, *matchers)
        return Measure(token.text, token.at, texts, numbers, inner, matchers)

    def _arguments(self) -> list[Argument]:
        found = []
        while self._token.text != ")":
            found.append(self._argument())
            if not self._accept(","):
                break
        self._expect(")")
        return found

    def _argument(self) -> Argument:
        token, name = self._token, ""
        if token.kind == "name" and self._tokens[self._next + 1].text == "=":
            self._next += 2
            name, token = token.text, self._token
        if token.kind == "number":
            return Argument(name, self._number(), token.at)
        if token.kind == "text":
            self._next += 1
            return Argument(name, _unquoted(token.text), token.at)
        if token.text in BASELINED and (self._tokens[self._next + 1].text in "(){,"):
            return Argument(name, self._measure(), token.at)
        if token.kind != "name":
            self._fail("expected a key, a number, a text or a measure", 'such as (0.95, duration) or ("4xx")')
        self._next += 1
        return Argument(name, token.text, token.at)

    def _matchers(self, measure: str) -> tuple[Matcher, ...]:
        found = []
        while self._token.text != "}":
            key = self._key(measure)
            sign = self._token
            if sign.text not in ("=", "!=", "=~", "!~"):
                self._fail("expected =, !=, =~ or !~", 'such as {method="GET"} or {status=~"5.."}')
            self._next += 1
            value = self._token
            if value.kind != "text":
                self._fail("expected a text in quotes", 'such as {method="GET"}; an empty text is a key that is absent')
            self._next += 1
            found.append(Matcher(key, sign.text, self._pattern(sign.text, value)))
            if not self._accept(","):
                break
        self._expect("}")
        return tuple(found)

    def _pattern(self, sign: str, token: _Token) -> str:
        text = _unquoted(token.text)
        if sign in ("=~", "!~"):
            try:
                re.compile(text)
            except re.error as error:
                self._refuse(token.at, f"no regular expression: {error}", 'such as {status=~"5.."}')
        return text

    def _by(self) -> tuple[str, ...]:
        self._next += 1
        self._expect("(")
        keys: list[str] = []
        while self._token.text != ")":
            place = self._token
            key = self._key(self._owner())
            if key in keys:
                self._refuse(place.at, f'"{key}" stands twice', "name each key once")
            keys.append(key)
            if not self._accept(","):
                break
        self._expect(")")
        return tuple(keys)

    def _owner(self) -> str:
        """Give the measure that the place belongs to: losses have keys of their own."""
        names = [token.text for token in self._tokens[: self._next] if token.text in CATALOGUE]
        return names[-1] if names else ""

    def _key(self, measure: str) -> str:
        token = self._token
        if token.kind != "name":
            self._fail("expected a key", "such as route, method or response.header.server")
        self._next += 1
        return known_key(token.text, token.at, measure, self._refuse)

    def _number(self, fail: Callable[[], NoReturn] | None = None, units: dict[str, float] = _UNITS) -> float:
        token = self._token
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]+|%)?", token.text)
        if token.kind != "number" or not found or (found[2] or "") not in units:
            if fail:
                fail()
            self._fail(f'"{token.text}" has no unit that is known', f"known: {', '.join(filter(None, units))}")
        self._next += 1
        return float(found[1]) * units[found[2] or ""]

    def _fail_range(self) -> NoReturn:
        self._fail("a range is a number with a unit of time", f"such as [5m]; units: {', '.join(TIMES)}")

    def _split(self) -> list[_Token]:
        tokens, at = [], 0
        while at < len(self._text):
            found = _TOKEN.match(self._text, at)
            if found is None:
                self._refuse(at, "this can't be read", 'texts stand in quotes: {method="GET"}')
            # `unit` is inside `number`: the outer group names the token.
            kind = "number" if found.group("number") else str(found.lastgroup)
            if kind != "blank":
                tokens.append(_Token(kind, found.group(), at))
            at = found.end()
        return [*tokens, _Token("end", "", len(self._text))]

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _accept(self, text: str) -> bool:
        if self._token.text != text or self._token.kind == "text":
            return False
        self._next += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            self._fail(f'expected "{text}"', "brackets come in pairs, items are parted by commas")

    def _fail(self, what: str, remedy: str) -> NoReturn:
        self._refuse(self._token.at, what, remedy)

    def _refuse(self, at: int, what: str, remedy: str) -> NoReturn:
        line = self._text.count("\n", 0, at)
        column = at - (self._text.rfind("\n", 0, at) + 1)
        shown = self._text.split("\n")[line]
        raise ConfigError(f"{what}, at column {column + 1}\n    {shown}\n    {' ' * column}^", remedy=remedy)


def _unquoted(text: str) -> str:
    return re.sub(r"""\\(["'\\])""", r"\1", text[1:-1])


def _meant(name: str, known: object) -> str:
    close = get_close_matches(name, list(known), n=1)  # type: ignore[call-overload]
    return f'; did you mean "{close[0]}"?' if close else ""
