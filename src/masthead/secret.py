"""Secrets in files, for those who send rows or ask elsewhere."""

from __future__ import annotations

from pathlib import Path

from masthead.errors import ConfigError


def first_line(file: str) -> str:
    """Read a secret.

    Raises:
        ConfigError: The file can't be read.
    """
    try:
        return Path(file).read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        what = f"the secret can't be read: {getattr(error, 'strerror', None) or error}"
        raise ConfigError(what, file, "name a file that this user may read") from error
