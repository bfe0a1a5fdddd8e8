"""Find the settings, lay flag over variable over file over default, and say precisely what is wrong with them."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from masthead.config import report
from masthead.config.model import Config
from masthead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE_NAME = "masthead.toml"
SYSTEM_FILE = Path("/etc/masthead/masthead.toml")
_PREFIX = "MASTHEAD_"
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force.

    Attributes:
        config: The settings.
        file: The file that they come from, if there is one.
        notes: What the user should know about how they were found, one line each.
    """

    config: Config
    file: Path | None
    notes: tuple[str, ...] = ()


def load(
    flags: Mapping[str, object] | None = None,
    *,
    path: str | None = None,
    environ: Mapping[str, str] | None = None,
    without: tuple[str, ...] = (),
) -> Loaded:
    """Read the settings.

    Args:
        flags: Values of the command line by key (`"capture.ports"`); `None` means not given.
        path: The file to read, instead of searching for one.
        environ: The environment; the process's own when left out.
        without: Sections that only flags may set, for commands that are not the service.

    Raises:
        ConfigError: The file can't be read, or a setting is wrong; all that is wrong is named at once.
    """
    environ = os.environ if environ is None else environ
    file, notes = _find(path, environ)
    text = _read(file) if file else ""
    data = _toml(text, file)
    origins: dict[report.Path, str] = {}
    for (section, key), value in _variables(environ):
        _lay(data, origins, (section, key), value, f"{_PREFIX}{section}_{key}".upper())
    if without:
        _validate(data, origins, file, text)
        data = {name: value for name, value in data.items() if name not in without}
    for name, value in (flags or {}).items():
        if value is not None:
            section, key = name.split(".")
            _lay(data, origins, (section, key), value, "command line")
    return Loaded(_validate(data, origins, file, text), file, notes)


def _find(path: str | None, environ: Mapping[str, str]) -> tuple[Path | None, tuple[str, ...]]:
    named = path or environ.get(f"{_PREFIX}CONFIG")
    if named:
        return Path(named), ()
    local = Path(FILE_NAME)
    if local.is_file():
        owner = local.stat().st_uid
        if owner in _trusted_owners(environ):
            return local, ()
        # Settings decide where root writes and what stays secret: a file that lies about may not decide that.
        note = f"./{FILE_NAME} was left aside: it belongs to uid {owner}; --config ./{FILE_NAME} uses it all the same"
        return (SYSTEM_FILE if SYSTEM_FILE.is_file() else None), (note,)
    return (SYSTEM_FILE if SYSTEM_FILE.is_file() else None), ()


def _trusted_owners(environ: Mapping[str, str]) -> set[int]:
    owners = {0, os.geteuid()}
    sudo = environ.get("SUDO_UID", "")
    if sudo.isdecimal():
        owners.add(int(sudo))
    return owners


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(reason, str(file), "name a file that exists with --config or MASTHEAD_CONFIG") from error
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 at byte {error.start}"
        raise ConfigError(reason, str(file), "TOML files are UTF-8; save it as such") from error


def _toml(text: str, file: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, place = str(error), str(file)
        found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", what)
        if found:
            what, place = f"not TOML: {found[1]} at column {found[3]}", f"{file}:{found[2]}"
        raise ConfigError(what, place, "see https://toml.io for how such a file is written") from error


def _keys() -> Iterator[tuple[str, str, type]]:
    """Give section, key and type of every setting that a variable can set."""
    defaults = Config()
    for section in Config.model_fields:
        table = getattr(defaults, section)
        for key in getattr(type(table), "model_fields", {}):
            yield section, key, type(getattr(table, key))


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[tuple[str, str], object]]:
    known = {f"{_PREFIX}{section}_{key}".upper(): (section, key, kind) for section, key, kind in _keys()}
    sections = tuple({f"{_PREFIX}{section}_".upper() for section, _, _ in _keys()})
    for name, value in environ.items():
        if name in known:
            section, key, kind = known[name]
            yield (section, key), _typed(value, kind)
        elif name.startswith(sections):
            # Kubernetes sets MASTHEAD_PORT and the like for a service of this name; those have no section's prefix.
            what = f"unknown variable{report.suggestion(name, known)}"
            raise ConfigError(what, name, "docs/configuration.md lists the keys; unset it")


def _typed(text: str, kind: type) -> object:
    """Give a variable's text the type that the key has; what does not fit is left for the validation to refuse."""
    if kind is tuple:
        return [_number(item.strip()) for item in text.split(",") if item.strip()]
    if kind is bool:
        return _TRUTH.get(text.strip().lower(), text)
    if kind in (int, float):
        return _number(text.strip())
    return text


def _number(text: str) -> int | float | str:
    kinds: tuple[type[int], type[float]] = (int, float)
    for kind in kinds:
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _lay(
    data: dict[str, Any], origins: dict[report.Path, str], key: tuple[str, str], value: object, origin: str
) -> None:
    table = data.setdefault(key[0], {})
    if isinstance(table, dict):
        table[key[1]] = list(value) if isinstance(value, tuple) else value
        origins[key] = origin


def _validate(data: dict[str, Any], origins: dict[report.Path, str], file: Path | None, text: str) -> Config:
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        message = report.describe(error, origins, str(file), text)
        raise ConfigError(message, remedy="docs/configuration.md lists every key with an example") from error
