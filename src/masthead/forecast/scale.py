"""Scales on which errors are alike everywhere: busy hours err more than quiet ones.

Logarithm: a tenth more is a tenth more at any hour, as for traffic and durations. Square root: counts that come by
chance (Poisson), which may be zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from masthead.forecast.shape import Floats

# What is added before the logarithm, as a share of the median: zero has none.
_ADDED = 0.05


@dataclass(frozen=True, slots=True)
class Scale:
    """There and back.

    Attributes:
        added: Before the logarithm; `None`: square root.
    """

    added: float | None = None

    def there(self, values: Floats) -> Floats:
        """Transform."""
        return np.asarray(np.sqrt(values) if self.added is None else np.log(values + self.added), dtype=np.float64)

    def back(self, values: Floats, most: float | None) -> Floats:
        """Transform back; never below zero, nor above `most`."""
        if self.added is None:
            return np.asarray(np.clip(np.maximum(values, 0.0) ** 2, 0.0, most), dtype=np.float64)
        # e^700 is about the largest float.
        return np.asarray(np.clip(np.exp(np.minimum(values, 700.0)) - self.added, 0.0, most), dtype=np.float64)


def logarithm(values: Floats) -> Scale:
    """Fit one to values."""
    middle = float(np.nanmean(values))
    return Scale(_ADDED * middle if middle > 0 else 1.0)


def square_root(_values: Floats) -> Scale:
    """There is only one."""
    return Scale()


SCALES = (logarithm, square_root)
