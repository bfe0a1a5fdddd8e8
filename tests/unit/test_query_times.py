import pytest

from masthead.errors import UsageError
from masthead.query.times import read_time

NOW = 1_785_542_400_000_000_000


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("now", NOW),
        ("15m", NOW - 15 * 60 * 10**9),
        ("forever", 0),
        ("2026-08-01", NOW),
        ("2026-08-01T01:00", NOW + 3_600 * 10**9),
        ("2026-08-01T01:00+01:00", NOW),
        ("2026-08-01T00:00:00.000001Z", NOW + 1_000),
    ],
)
def test_ages_and_dates_are_read(text: str, time_ns: int) -> None:
    assert read_time(text, NOW, "--since") == time_ns


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "15"])
def test_all_else_is_refused_with_the_flag_named(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_time(text, NOW, "--since")
    assert caught.value.where == "--since"
    assert "15m" in str(caught.value)
