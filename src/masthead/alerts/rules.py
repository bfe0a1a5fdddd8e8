"""Files of rules: read, checked to the last expression, and told in file, line and key what is wrong."""

from __future__ import annotations

import glob
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from masthead.alerts import template
from masthead.alerts.expression import read
from masthead.alerts.expression.measures import label
from masthead.alerts.expression.sides import keys
from masthead.config import report
from masthead.config.alerts import Group, Rule, RuleFile
from masthead.config.locate import line_of, positions
from masthead.config.units import age_seconds
from masthead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masthead.alerts.expression.nodes import Node

_REMEDY = "docs/alerts.md has the form of rules, with examples"


@dataclass(frozen=True, slots=True)
class Ready:
    """A rule that was read.

    Attributes:
        group: Its group's name.
        interval: Seconds between two times that it is asked; `None`: as often as the settings say.
        rule: As it stands in the file.
        tree: Its expression.
    """

    group: str
    interval: float | None
    rule: Rule
    tree: Node

    @property
    def identity(self) -> str:
        """Give what its alerts are kept under: another expression is another rule."""
        return f"{self.group}/{self.rule.alert}/{self.rule.expr}"


def read_rules(patterns: Iterable[str]) -> list[Ready]:
    """Read the files that globs stand for.

    Raises:
        ConfigError: A file can't be read, or what is in one is wrong; all that is wrong is named at once.
    """
    found: list[Ready] = []
    wrong: list[str] = []
    for pattern in patterns:
        files = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - a pattern may be absolute
        if not files and not glob.has_magic(pattern):
            wrong.append(f"{pattern}: there is no such file")
        for file in files:
            try:
                found += read_file(Path(file))
            except ConfigError as error:
                wrong.append(str(error))
    taken: set[tuple[str, str, str]] = set()
    for ready in found:
        name = (ready.group, ready.rule.alert, ready.rule.expr)
        if name in taken:
            wrong.append(f'group "{ready.group}" has the rule "{ready.rule.alert}" twice; leave one out')
        taken.add(name)
    if wrong:
        raise ConfigError("\n".join(wrong), remedy=_REMEDY)
    return found


def read_file(file: Path) -> list[Ready]:
    """Read one file.

    Raises:
        ConfigError: It can't be read, or what is in it is wrong.
    """
    text = _text(file)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}", str(file)) from error
    try:
        rules = RuleFile.model_validate(data)
    except ValidationError as error:
        raise ConfigError(report.describe(error, {}, str(file), text, RuleFile)) from error
    lines = positions(text)
    found, wrong = list[Ready](), list[str]()
    for number, group in enumerate(rules.group):
        for place, rule in enumerate(group.rule):
            try:
                found.append(_ready(group, rule))
            except ConfigError as error:
                key = error.where or "expr"
                line = line_of(lines, ("group", number, "rule", place, *key.split(".")))
                mended = f"\n    {error.remedy}" if error.remedy else ""
                wrong.append(f"{file}:{line}: {rule.alert}: {key}: {error.what}{mended}")
    if wrong:
        raise ConfigError("\n".join(wrong))
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(error.strerror or str(error), str(file)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 at byte {error.start}", str(file)) from error


def _ready(group: Group, rule: Rule) -> Ready:
    tree = read(rule.expr)
    labels = (*(label(key) for key in keys(tree)), "alertname", *rule.labels)
    for kind, texts in (("labels", rule.labels), ("annotations", rule.annotations)):
        for name, text in texts.items():
            try:
                template.check(text, labels)
            except ConfigError as error:
                raise ConfigError(error.what, f"{kind}.{name}", error.remedy) from None
    for key, age in (("for", rule.for_), ("keep_firing_for", rule.keep_firing_for)):
        if age_seconds(age) is None:
            raise ConfigError("should be a time that ends", key, 'such as "5m"')
    return Ready(group.name, age_seconds(group.interval) if group.interval else None, rule, tree)
