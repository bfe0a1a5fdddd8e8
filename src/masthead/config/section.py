"""What the settings' tables are made of."""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from masthead.config.units import age_seconds

Item = TypeVar("Item")
# TOML has lists and settings are frozen: the one place where a type other than the exact one is taken.
Many: TypeAlias = Annotated[tuple[Item, ...], Strict(strict=False)]


def _age(value: str) -> str:
    age_seconds(value)
    return value


Age: TypeAlias = Annotated[str, AfterValidator(_age)]
Pattern: TypeAlias = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A table of the file: what it does not name is refused, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
