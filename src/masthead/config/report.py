"""Say what is wrong with settings in the user's words: file, line, key, and the key that was probably meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from masthead.config.locate import Path, line_of, positions
from masthead.config.model import Config
from masthead.config.sinks import Sink

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["Path", "describe", "suggestion"]


def describe(
    error: ValidationError, origins: Mapping[Path, str], file: str, text: str, model: type[BaseModel] = Config
) -> str:
    """Give one line for each thing that is wrong.

    Args:
        error: What the validation found.
        origins: Which variable or flag a key's value comes from; the others come from the file.
        file: The file's name.
        text: The file's text.
        model: What the file should be.
    """
    lines = positions(text)
    found = []
    for detail in error.errors(include_url=False):
        path = _in_file(detail["loc"])
        origin = next((origins[path[:length]] for length in range(len(path), 0, -1) if path[:length] in origins), None)
        line = line_of(lines, path)
        place = origin or (f"{file}:{line}" if line else file)
        found.append(f"{place}: {_dotted(path)}: {_reason(detail, detail['loc'], model)}")
    return "\n".join(found)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Give `; did you mean "x"?` when something known is close, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f'; did you mean "{close[0]}"?' if close else ""


def _in_file(path: Path) -> Path:
    """Give a place as the file has it: behind a sink's number the validation names its kind as well."""
    return (*path[:2], *path[3:]) if path[:1] == ("sink",) else path


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _reason(detail: ErrorDetails, path: Path, model: type[BaseModel]) -> str:
    kind, message, value = detail["type"], detail["msg"], detail["input"]
    if kind == "extra_forbidden":
        return f"unknown key{suggestion(str(path[-1]), _known_keys(path[:-1], model))}"
    if kind in {"repeated", "secret"}:
        # The whole list would say less than the two of it that the message names; a secret is not to be shown.
        return message
    words = message.removeprefix("Value error, ").removeprefix("Input ")
    if kind == "model_type":
        words = "should be a table"
    return f"{words}, not {_shown(value)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value + '"'
    return repr(value)


def _known_keys(path: Path, root: type[BaseModel]) -> list[str]:
    model: Any = root
    for part in path:
        if model is Config and part == "sink":
            return _keys_of_sink(str(path[2]))
        if isinstance(part, str):
            model = _model_in(_named(model)[part].annotation)
    return list(_named(model))


def _keys_of_sink(kind: str) -> list[str]:
    models = get_args(get_args(Sink)[0])
    return next(
        (list(model.model_fields) for model in models if kind in get_args(model.model_fields["kind"].annotation)), []
    )


def _named(model: Any) -> dict[str, Any]:  # noqa: ANN401 - any model's class
    """Give a table's keys as they stand in the file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_in(annotation: object) -> type[BaseModel]:
    """Find the table's model in `Model`, `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        model = _model_in(part)
        if model is not BaseModel:
            return model
    return BaseModel
