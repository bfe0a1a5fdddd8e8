"""The settings and the installation's key, compiled by the extension."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from masthead.config import rules_json
from masthead.extension import native
from masthead.key import key_path, read_or_create

if TYPE_CHECKING:
    from collections.abc import Callable

    from masthead._native import Rules
    from masthead.config import Config


def compile_rules(config: Config, tell: Callable[[str], None] = lambda _: None) -> Rules:
    """Compile the rules; the key is read, or made, only where something is redacted.

    Args:
        config: The settings.
        tell: Takes a message for the user.

    Raises:
        ConfigError: A pattern can't be used, or there is no key to be had.
    """
    key = b""
    if config.redact.enabled:
        path = key_path(config.redact.key_file, os.environ, root=os.geteuid() == 0)
        key, created = read_or_create(path)
        if created:
            tell(f"made a new key for the pseudonyms of secrets: {path}")
    else:
        tell("redaction is off: secrets leave as they are")
    rules: Rules = native().Rules(rules_json(config), key)
    return rules
