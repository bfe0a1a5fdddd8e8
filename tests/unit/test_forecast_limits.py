from __future__ import annotations

import numpy as np
import pytest

from masthead.errors import UsageError
from masthead.forecast.limits import Limit

KNOWN = ("error_ratio", "p95_ms")


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("error_ratio < 0.01", Limit("error_ratio", "<", 0.01)),
        ("error_ratio<=1%", Limit("error_ratio", "<=", 0.01)),
        (" p95_ms > 1e-3 ", Limit("p95_ms", ">", 0.001)),
        ("p95_ms >= .5", Limit("p95_ms", ">=", 0.5)),
    ],
)
def test_limits_are_read_as_people_write_them(text: str, limit: Limit) -> None:
    assert Limit.parse(text, KNOWN) == limit
    assert Limit.parse(str(limit), KNOWN) == limit


@pytest.mark.parametrize("text", ["", "error_ratio", "errors < 1", "error_ratio = 1", "p95_ms < -1", "p95_ms < 5 ms"])
def test_what_is_no_limit_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(UsageError, match="error_ratio, p95_ms"):
        Limit.parse(text, KNOWN)


def test_a_limit_breaks_at_the_first_value_that_does_not_keep_it() -> None:
    values = np.array([np.nan, 1.0, 2.0, 3.0, 2.0])
    assert Limit("p95_ms", "<", 3).breaks(values) == 3
    assert Limit("p95_ms", "<=", 3).breaks(values) is None
    assert Limit("p95_ms", ">", 1).breaks(values) == 1
    assert Limit("p95_ms", ">=", 1).breaks(values) is None
    assert Limit("p95_ms", "<", 3).breaks(np.zeros(0)) is None
