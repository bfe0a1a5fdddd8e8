"""Any server that takes a POST: rows as NDJSON, or as one JSON array."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.delivery.http import Reply

if TYPE_CHECKING:
    from masthead.delivery import Load, Outcome
    from masthead.delivery.http import Http


class WebhookSender:
    """Posts loads; each has the field `Idempotency-Key`, the same at every attempt.

    Args:
        http: The server, with the whole path.
        form: `ndjson` or `json`.
        headers: The form of header fields: `object` or `pairs`.
    """

    def __init__(self, http: Http, form: str = "ndjson", headers: str = "object") -> None:
        self._http = http
        self._form = form
        self._headers = headers

    def send(self, load: Load) -> Outcome:
        """Post a load."""
        body, kind = load.batch.ndjson(self._headers), "application/x-ndjson"
        if self._form == "json":
            body, kind = b"[" + body.rstrip(b"\n").replace(b"\n", b",\n") + b"]", "application/json"
        reply = self._http.attempt("", body, kind, {"idempotency-key": f'"{load.token}"'})
        return reply.outcome() if isinstance(reply, Reply) else reply

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()
