from __future__ import annotations

import pytest

from masthead.alerts.template import check, fill
from masthead.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("{{ $labels.route }}!", 1, "/a!"),
        ("{{$labels.gone}}.", 1, "."),
        ("{{ $value }}", 0.123456789, "0.123457"),
        ("{{ $value | humanize }}", 1_234_567, "1.235M"),
        ("{{ $value | humanizePercentage }}", 0.0523, "5.23%"),
        ("{{ $value | humanizeDuration }}", 0.25, "250ms"),
        ("{{ $value | humanizeDuration }}", 3_725, "1h 2m 5s"),
        ("{{ $value | humanizeDuration }}", 1.5, "1.5s"),
        ("no { place } {{", 1, "no { place } {{"),
    ],
)
def test_places_are_filled_in(text: str, value: float, expected: str) -> None:
    assert fill(text, {"route": "/a"}, value) == expected


def test_a_value_with_braces_is_not_filled_in_again() -> None:
    assert fill("{{ $labels.route }}", {"route": "{{ $value }}"}, 1) == "{{ $value }}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ .Labels.route }}", "can't be filled in"),
        ("{{ $value | printf }}", "can't be filled in"),
        ("{{ $labels.host }}", 'no label "host"'),
    ],
)
def test_what_cannot_be_filled_in_is_refused_when_the_rule_is_read(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(text, ("route",))
