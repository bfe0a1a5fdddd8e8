"""Real servers that logs are sent to: started on free ports of 127.0.0.1, killed, and started again on what they kept.

`dev/servers` brings them into `.servers/`; what is not there is named by `missing()`, for a test to be skipped with.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from dataclasses import dataclass
from signal import SIGKILL
from typing import TYPE_CHECKING, Any, ClassVar

from tests.e2e.processes import end, leashed
from tests.e2e.servers import KEPT, free_port
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

ANSWER_SECONDS = 60
"""How long one answer may take: the servers share few cores with what fills them."""


@dataclass(frozen=True)
class Reply:
    """What a server answered over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, body: bytes | None = None, method: str | None = None, **headers: str) -> Reply:
    """Make one HTTP request; `content_type="a/b"` is sent as `content-type: a/b`. A refusal is a reply like others."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, fields, method=method)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return Reply(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, dict(error.headers), error.read())


def kept(server: str, file: str) -> str | None:
    """Return why a file of `.servers/` can't be used, if so."""
    return None if (KEPT / server / file).exists() else f"no .servers/{server}: run dev/servers {server}"


def lacking(program: str) -> str | None:
    """Return that a program is not installed, if so."""
    return None if shutil.which(program) else f"no {program} here"


class Server(ABC):
    """One server on a free port, with its data in a folder; the port and the data outlive a kill.

    Attributes:
        folder: Its data, its configuration and its log (`output`).
        port: Where it answers.
    """

    name: ClassVar[str]
    start_seconds: ClassVar[float] = 60

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._child: subprocess.Popen[bytes] | None = None

    @classmethod
    @abstractmethod
    def missing(cls) -> str | None:
        """Return why it can't be started here, if so."""

    @abstractmethod
    def command(self) -> list[str]:
        """Write what it needs into its folder, and return the command that runs it."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether it takes data and answers queries."""

    def prefix(self) -> tuple[str, ...]:
        """What its command is run under."""
        return leashed("TERM")

    @property
    def pid(self) -> int:
        """The running server's process."""
        assert self._child is not None, f"{self.name} is not running"
        return self._child.pid

    @property
    def log(self) -> str:
        """What it has said so far, in all its lives."""
        return (self.folder / "output").read_text(errors="replace")

    def start(self) -> Self:
        """Start it, and wait until it is ready."""
        assert self._child is None, f"{self.name} is running"
        command = [*self.prefix(), *self.command()]
        with (self.folder / "output").open("ab") as output:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.environment()
            )
        self._child = child

        def answers() -> bool:
            assert child.poll() is None, f"{self.name} ended: {self.log[-4000:]}"
            try:
                return self.ready()
            except OSError:
                return False

        try:
            wait_for(answers, f"{self.name} is ready", self.start_seconds)
        except BaseException:
            self.kill()
            raise
        return self

    def environment(self) -> dict[str, str]:
        """Return the variables that it sees."""
        return dict(os.environ)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._child is not None:
            child, self._child = self._child, None
            end(child)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._child is not None:
            child, self._child = self._child, None
            end(child, SIGKILL)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
