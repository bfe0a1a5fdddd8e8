"""Limits that should hold, such as `error_ratio < 0.01`, and the time until one is expected to break."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from masthead.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from masthead.forecast.shape import Floats

_FORM = re.compile(r"\s*([a-z0-9_]+)\s*(<=|>=|<|>)\s*([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*(%?)\s*")
_HOLDS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class Limit:
    """What should hold.

    Attributes:
        metric: Its name with the unit, such as `p95_ms`.
        sign: `<`, `<=`, `>` or `>=`.
        bound: What it is compared with.
    """

    metric: str
    sign: str
    bound: float

    @classmethod
    def parse(cls, text: str, known: Collection[str], flag: str = "--slo") -> Self:
        """Read one.

        Raises:
            UsageError: It is none.
        """
        found = _FORM.fullmatch(text)
        if not found or found[1] not in known:
            remedy = f'write one such as "error_ratio < 0.01"; there are {", ".join(sorted(known))}'
            raise UsageError(f'"{text}" is no limit', flag, remedy)
        return cls(found[1], found[2], float(found[3]) / (100 if found[4] else 1))

    def __str__(self) -> str:
        """Give it as it is written."""
        return f"{self.metric} {self.sign} {self.bound:g}"

    @property
    def upper(self) -> bool:
        """Whether it breaks upwards."""
        return self.sign.startswith("<")

    def breaks(self, values: Floats) -> int | None:
        """Give the first place where it does not hold; `None` where it always does. NaN breaks nothing."""
        broken = np.flatnonzero(~np.isnan(values) & ~_HOLDS[self.sign](values, self.bound))
        return int(broken[0]) if len(broken) else None
