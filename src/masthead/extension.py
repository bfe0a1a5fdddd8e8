"""The Rust extension, imported where it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.errors import NotSupportedError

if TYPE_CHECKING:
    from types import ModuleType


def native() -> ModuleType:
    """Import `masthead._native`.

    Raises:
        NotSupportedError: It was not built for this Python or machine.
    """
    try:
        from masthead import _native  # noqa: PLC0415 - `--help` and errors must work without it
    except ImportError as error:
        what = f"the extension masthead._native can't be loaded: {error}"
        remedy = "install a wheel for this machine, or build it: maturin develop"
        raise NotSupportedError(what, remedy=remedy) from error
    return _native
