"""The command line's entry: whatever goes wrong ends in one message and an exit code, never in a traceback."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from masthead.errors import MastheadError

if TYPE_CHECKING:
    from collections.abc import Sequence

DEBUG = "MASTHEAD_DEBUG"
# What a shell reports of a process that SIGINT ended.
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and give its exit code: 0 done, 2 usage or configuration, 3 not permitted or not supported."""
    try:
        return _execute(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left (`| head`); the interpreter must not stumble over it on its way out.
        _silence_standard_output()
        return 0
    except MastheadError as error:
        return _report(str(error), error, error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last guard between a defect and the user
        what = f"a defect in masthead: {type(error).__name__}: {error}\n  {DEBUG}=1 shows where; please report it"
        return _report(what, error, 2)


def _execute(arguments: Sequence[str]) -> int:
    # Imported here so that the guard covers a broken installation too.
    from masthead.commands import execute  # noqa: PLC0415

    code = execute(arguments)
    if sys.stdout:
        sys.stdout.flush()
    return code


def _report(message: str, error: Exception, code: int) -> int:
    if os.environ.get(DEBUG):
        raise error
    sys.stderr.write(f"masthead: {message}\n")
    return code


def _silence_standard_output() -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
