"""Grafana Loki: `POST /loki/api/v1/push`, and what else takes that (VictoriaLogs, Grafana Alloy).

Source: Loki's HTTP API, "Ingest logs". Labels are few and fixed, header fields are structured metadata.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from masthead.delivery import Outcome, Refused, Sent, TooLarge
from masthead.delivery.http import Http, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from masthead.delivery import Load

PATH = "/loki/api/v1/push"
_BAD_REQUEST = 400
_BUSY = 429
# A push of so much fits into what a server takes within a second, even if it is set to a quarter of the default.
_LARGE = 1 << 20
# gRPC between Loki's parts (`grpc_server_max_recv_msg_size`), and what stands in front of them.
_TOO_MUCH = re.compile(r"larger than (?:the )?max|message size|too large", re.IGNORECASE)


class LokiSender:
    """Pushes loads.

    Args:
        http: The server.
        labels: Labels of every line, besides `direction`.
        tenant: The tenant (`X-Scope-OrgID`); empty: none.
        headers: The form of header fields in the line: `object` or `pairs`.
    """

    def __init__(self, http: Http, labels: Mapping[str, str], tenant: str = "", headers: str = "object") -> None:
        self._http = http
        self._labels = json.dumps({"service_name": "masthead", **labels})
        self._fields = {"x-scope-orgid": tenant} if tenant else {}
        self._headers = headers

    def send(self, load: Load) -> Outcome:
        """Push a load."""
        # Entries that had no room in the metadata are in the line all the same.
        body, _, cut = load.batch.loki(self._labels, self._headers)
        reply = self._http.attempt(PATH, body, "application/json", self._fields)
        if not isinstance(reply, Reply):
            return reply
        if _is_too_much(reply, len(body)):
            return TooLarge(reply.text)
        if reply.status == _BAD_REQUEST:
            # Loki keeps the lines of a push that it can (not those that are too old, say) and does not tell which.
            return Refused(f"{reply.text} (some of them may be there)")
        outcome = reply.outcome()
        return replace(outcome, cut=cut) if isinstance(outcome, Sent) else outcome

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


def _is_too_much(reply: Reply, size: int) -> bool:
    """Whether less at once helps: a push beyond the limits of a server (`ingestion_burst_size_mb`) never passes."""
    if reply.status == _BUSY:
        return size > _LARGE and "ingestion rate limit" in reply.text.lower()
    failed = reply.status == _BAD_REQUEST or reply.status >= 500  # noqa: PLR2004 - 5xx
    return failed and _TOO_MUCH.search(reply.text) is not None
