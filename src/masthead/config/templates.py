"""Route templates: what makes one valid, and which two of them can't be told apart."""

from __future__ import annotations

import re
from typing import NoReturn

from pydantic_core import PydanticCustomError

# What the extension takes; a longer one is a mistake.
_LONGEST = 512
_METHOD = re.compile(r"[A-Z][A-Z_-]*")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)(\.\.\.)?\}")
_EXAMPLE = 'such as "/v1/users/{id}" or "GET /v1/users/{id}"'


def valid_template(template: str) -> str:
    """Give the template back.

    Raises:
        ValueError: It is none; the message says what it should be.
    """
    method, _, path = template.rpartition(" ")
    if method and not _METHOD.fullmatch(method):
        _refuse(f"should have a method in capitals and one space in front of its path, or nothing, {_EXAMPLE}")
    if not path.startswith("/") or template.startswith(" "):
        _refuse(f"should be a path that begins with /, {_EXAMPLE}")
    if "?" in path or "#" in path:
        _refuse("should be a path alone, without query and fragment")
    if len(path.encode()) > _LONGEST:
        _refuse(f"should be at most {_LONGEST} bytes long")
    _placeholders(path)
    return template


def distinct_templates(templates: tuple[str, ...]) -> tuple[str, ...]:
    """Give the templates back.

    Raises:
        PydanticCustomError: Two of them are for the same calls, so that neither wins.
    """
    seen: dict[str, str] = {}
    for template in templates:
        # A placeholder's name says nothing about what it stands for.
        shape = _PLACEHOLDER.sub(r"{\2}", template)
        if shape in seen:
            places = {"one": seen[shape], "other": template}
            raise PydanticCustomError("repeated", '"{one}" and "{other}" are for the same calls; leave one out', places)
        seen[shape] = template
    return templates


def _placeholders(path: str) -> None:
    segments = path[1:].split("/")
    names = set()
    for index, segment in enumerate(segments):
        if "{" not in segment and "}" not in segment:
            continue
        found = _PLACEHOLDER.fullmatch(segment)
        if not found:
            _refuse(f"should have braces only around a whole segment, {{id}} or {{path...}} ({segment} is neither)")
        if found[1] in names:
            _refuse(f"should name each placeholder differently ({{{found[1]}}} stands twice)")
        if found[2] and index + 1 < len(segments):
            _refuse(f"should have {segment} at its end only, since that stands for all the rest")
        names.add(found[1])


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)
