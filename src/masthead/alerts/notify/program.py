"""A program that is told: no shell, the notice as JSON on its standard input, and a time limit."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from masthead.alerts.notify.post import RefusedError
from masthead.config.units import age_seconds
from masthead.errors import OutputError

if TYPE_CHECKING:
    from masthead.alerts.notify.notice import Notice
    from masthead.config.alerts import ExecReceiver


class Program:
    """Starts a program for each notice."""

    def __init__(self, settings: ExecReceiver) -> None:
        self._settings = settings

    def deliver(self, notice: Notice) -> None:
        """Start it and wait for its end.

        Raises:
            OutputError: It failed or took too long.
            RefusedError: It can't be started.
        """
        command = list(self._settings.command)
        data = json.dumps(notice.payload()).encode()
        limit = age_seconds(self._settings.timeout)
        try:
            # Nothing of the notice is part of the command line.
            ended = subprocess.run(command, input=data, capture_output=True, timeout=limit, check=False)  # noqa: S603
        except subprocess.TimeoutExpired as error:
            raise OutputError(f"{command[0]} took longer than {self._settings.timeout} and was ended") from error
        except OSError as error:
            raise RefusedError(f"can't be started: {error.strerror or error}", command[0]) from error
        if ended.returncode:
            said = ended.stderr[-200:].decode(errors="replace").strip()
            raise OutputError(f"{command[0]} ended with {ended.returncode}: {said}")
