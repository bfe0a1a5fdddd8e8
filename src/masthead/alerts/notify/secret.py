"""Secrets of receivers: from a file or from the environment, read each time, so that a new one needs no restart."""

from __future__ import annotations

import os
from pathlib import Path

from masthead.alerts.notify.post import RefusedError


def secret(file: str, variable: str) -> str | None:
    """Give a secret, of a file its first line; `None` where the settings name none.

    Raises:
        RefusedError: The file or the variable is not there.
    """
    if file:
        try:
            return Path(file).read_text(encoding="utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RefusedError(f"the secret can't be read: {error}", file) from error
    if variable:
        found = os.environ.get(variable)
        if found is None:
            raise RefusedError("the variable of the secret is not set", variable)
        return found
    return None
