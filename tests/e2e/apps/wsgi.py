"""A WSGI application that writes down what its server told it, one line of JSON per request, to $RECORD."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def app(environ: dict[str, Any], start: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """Answer 200, and 404 below /missing."""
    environ["wsgi.input"].read()
    missing = environ["PATH_INFO"].startswith("/missing")
    line = f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {environ['SERVER_PROTOCOL']}"
    entry = {"line": line, "status": 404 if missing else 200, "tenant": environ.get("HTTP_X_TENANT")}
    with Path(os.environ["RECORD"]).open("a") as log:
        log.write(json.dumps(entry) + "\n")
    start("404 Not Found" if missing else "200 OK", [("Content-Length", "3"), ("X-Served-By", "gunicorn")])
    return [b"ok\n"]
