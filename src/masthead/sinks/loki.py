"""Grafana Loki: `POST /loki/api/v1/push`, and what else takes that (VictoriaLogs, Grafana Alloy).

Source: Loki's HTTP API, "Ingest logs". Labels are few and fixed, header fields are structured metadata.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from masthead.delivery import Outcome, Refused
from masthead.delivery.http import Http, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from masthead.delivery import Load

PATH = "/loki/api/v1/push"
_BAD_REQUEST = 400


class LokiSender:
    """Pushes loads.

    Args:
        http: The server.
        labels: Labels of every line, besides `direction`.
        tenant: The tenant (`X-Scope-OrgID`); empty: none.
        headers: The form of header fields in the line: `object` or `pairs`.

    Attributes:
        cut: Entries of structured metadata that Loki's limits left no room for.
    """

    def __init__(self, http: Http, labels: Mapping[str, str], tenant: str = "", headers: str = "object") -> None:
        self.cut = 0
        self._http = http
        self._labels = json.dumps({"service_name": "masthead", **labels})
        self._fields = {"x-scope-orgid": tenant} if tenant else {}
        self._headers = headers

    def send(self, load: Load) -> Outcome:
        """Push a load."""
        body, cut = load.batch.loki(self._labels, self._headers)
        self.cut += cut
        reply = self._http.attempt(PATH, body, "application/json", self._fields)
        if not isinstance(reply, Reply):
            return reply
        if reply.status == _BAD_REQUEST:
            # Loki keeps the lines of a push that it can (not those that are too old, say) and does not tell which.
            return Refused(f"{reply.text} (some of them may be there)")
        return reply.outcome()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()
