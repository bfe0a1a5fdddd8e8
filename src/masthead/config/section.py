"""What tables of settings are made of."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from masthead.config.units import age_seconds, size_bytes

Item = TypeVar("Item")
# TOML has lists and settings are frozen: the one place where a type other than the exact one is taken.
Many: TypeAlias = Annotated[tuple[Item, ...], Strict(strict=False)]


def _age(value: str) -> str:
    age_seconds(value)
    return value


def _size(value: str) -> str:
    if not 0 < size_bytes(value) < 1:
        return value
    message = 'should be a size such as "500MB" or "20GiB"'
    raise ValueError(message)


def _room(value: str) -> str:
    size_bytes(value)
    return value


Age: TypeAlias = Annotated[str, AfterValidator(_age)]
Size: TypeAlias = Annotated[str, AfterValidator(_size)]
Room: TypeAlias = Annotated[str, AfterValidator(_room)]
HeaderForm: TypeAlias = Literal["object", "pairs"]
Pattern: TypeAlias = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A table of the file: what it does not name is refused, and nothing changes once it is read."""

    # Deferred: what is built for each table by itself would be built once more for all of them, and commands are short.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
