"""The load generator of nghttp2."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bench.children import ChildFailedError, output

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 8


def ask(url: str, count: int, how: Sequence[str], fields: Sequence[str]) -> float:
    """Send so many requests over eight connections; give how many seconds they took.

    Args:
        url: Where to.
        count: How many requests.
        how: Further arguments, as of streams.
        fields: Lines of the header section.

    Raises:
        ChildFailedError: Not all were answered well.
    """
    words = [word for field in fields for word in ("-H", field)]
    said = output(["h2load", f"-n{count}", f"-c{CONNECTIONS}", *how, *words, url], 300)
    found = re.search(r"finished in ([\d.]+)(m?s)", said)
    if not found or f" {count} succeeded" not in said:
        raise ChildFailedError(f"h2load: {said}")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)
