"""An ASGI application that writes down what its server told it, one line of JSON per request, to $RECORD."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer 200 in chunks, and 404 below /missing."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    status = 404 if scope["path"].startswith("/missing") else 200
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    entry = {
        "line": f"{scope['method']} {(scope['raw_path'] + query).decode()} HTTP/{scope['http_version']}",
        "status": status,
        "lower": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
    }
    with Path(os.environ["RECORD"]).open("a") as log:  # noqa: ASYNC230
        log.write(json.dumps(entry) + "\n")
    await send({"type": "http.response.start", "status": status, "headers": [(b"X-Served-By", b"uvicorn")]})
    await send({"type": "http.response.body", "body": b"first ", "more_body": True})
    await send({"type": "http.response.body", "body": b"second\n"})
