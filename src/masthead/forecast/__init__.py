"""What the next hours and days will bring, from the store's history.

`outlook` puts it together: a question (`query.questions.history`), regular series (`series`), a model (`shape`,
`scale`, `changes`, `model`), the time until a limit breaks (`limits`), rows for whoever asks (`rows`), samples for a
metrics page (`gauges`). All that counts is pure: arrays in, arrays out. numpy and threadpoolctl are optional: whoever
comes from outside calls `require` before importing any of these.
"""

from __future__ import annotations

from masthead.errors import NotSupportedError


def require() -> None:
    """Make sure that the library is there.

    Raises:
        NotSupportedError: It is not installed.
    """
    try:
        import numpy  # noqa: F401, ICN001, PLC0415 - optional dependencies, and only looked for
        import threadpoolctl  # type: ignore[import-untyped]  # noqa: F401, PLC0415
    except ImportError as error:
        remedy = "pip install 'masthead[forecast]'"
        raise NotSupportedError(f"forecasts need the library {error.name}", remedy=remedy) from error
