"""The classes of rows and how long each is kept: from the settings to the extension's rules and the policy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from masthead.config.units import age_seconds, size_bytes
from masthead.store.retention import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from masthead.config import Config

# Files that change only with a release, by the end of their path.
STATIC_PATHS = (
    *("*.css", "*.js", "*.mjs", "*.map", "*.wasm", "*.webmanifest"),
    *("*.png", "*.jpg", "*.jpeg", "*.gif", "*.svg", "*.ico", "*.webp", "*.avif"),
    *("*.woff", "*.woff2", "*.ttf", "*.otf", "*.eot"),
)
# The class that is tried first: every row that went wrong is in its parts, whatever else is set.
ERRORS = "errors"
ERROR_MARKS = ("no_response", "reset", "malformed")


@dataclass(frozen=True, slots=True)
class Kinds:
    """The classes, in the order in which they are tried.

    Attributes:
        names: Their names; the last is `default`.
        rules: What makes a row one of each, but for the last.
        ages: How long each is kept, seconds; `None`: for ever.
        max_bytes: How much the store may take; 0: no limit.
        min_free: How much of the file system stays free: bytes, or a share below 1.
    """

    names: tuple[str, ...]
    rules: tuple[Mapping[str, object], ...]
    ages: Mapping[str, float | None]
    max_bytes: int = 0
    min_free: float = 0

    @classmethod
    def of(cls, config: Config) -> Kinds:
        """Read them from the settings."""
        kept = config.retention
        own = config.class_
        wrong: Mapping[str, object] = {"calls": {"statuses": ["4xx", "5xx"]}, "marks": ERROR_MARKS, "grpc_errors": True}
        rules = [wrong]
        rules += [{"calls": kind.calls(), "marks": kind.marks} for kind in own]
        rules.append({"calls": {"paths": STATIC_PATHS}})
        ages = {"errors": kept.errors, "static": kept.static, "default": kept.default}
        return cls(
            names=(ERRORS, *(kind.name for kind in own), "static", "default"),
            rules=tuple(rules),
            ages={name: age_seconds(age) for name, age in {**ages, **{kind.name: kind.keep for kind in own}}.items()},
            max_bytes=int(size_bytes(kept.max_bytes)),
            min_free=size_bytes(kept.min_free),
        )

    def rules_json(self) -> str:
        """Give the rules as `masthead._native.Classes` takes them."""
        return json.dumps(self.rules)

    def policy(self, disk_bytes: int) -> Policy:
        """Give what is to be deleted, on a file system of this size."""
        free = self.min_free * disk_bytes if self.min_free < 1 else self.min_free
        return Policy(self.ages, self.max_bytes, int(free))
