"""Elasticsearch and OpenSearch: `POST /_bulk`, one document of ECS names for each row.

Source: Elasticsearch's "Bulk API". The id of a document is the row's exchange id, so that a row which comes twice is
there once (`create` answers 409); a data stream takes only `create`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from masthead.delivery import Again, Outcome, Refused, Sent
from masthead.delivery.http import Reply

if TYPE_CHECKING:
    from masthead.delivery import Load
    from masthead.delivery.http import Http

_CONFLICT = 409
# What is wrong with a row itself; all else (rights, a full disk, a missing index) somebody can mend.
_NEVER = (400, 413, 422)
# What is read of the answer: a status for each row, and why it was refused.
_ANSWER = "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason,error,status"


class ElasticsearchSender:
    """Sends loads as bulks.

    Args:
        http: The server.
        index: The data stream, or the index.
    """

    def __init__(self, http: Http, index: str) -> None:
        self._http = http
        self._index = index

    def send(self, load: Load) -> Outcome:
        """Send a bulk; rows that were refused for now come again alone."""
        reply = self._http.attempt(f"/_bulk?{_ANSWER}", load.batch.bulk(self._index), "application/x-ndjson")
        if not isinstance(reply, Reply):
            return reply
        if not reply.ok:
            outcome = reply.outcome()
            # What is wrong with rows stands in the answer to a bulk; a bulk that is refused is a setting's fault.
            return Again(outcome.reason) if isinstance(outcome, Refused) else outcome
        try:
            answer = json.loads(reply.body)
            items = [next(iter(item.values())) for item in answer.get("items", ())]
            failed = bool(answer.get("errors"))
        except (ValueError, AttributeError, StopIteration):
            return Again(f"no answer of a bulk: {reply.text}")
        if not failed:
            return Sent(bytes=reply.sent)
        if len(items) != load.batch.num_rows:
            return Again(f"{len(items)} answers for {load.batch.num_rows} rows")
        return _sorted(items, reply.sent)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


def _sorted(items: list[dict[str, Any]], sent: int) -> Sent:
    """Tell the rows that are there from those that come again and those that never will."""
    again: list[int] = []
    reasons: list[str] = []
    later = ""
    for place, item in enumerate(items):
        status = int(item.get("status", 0))
        if 200 <= status < 300 or status == _CONFLICT:  # noqa: PLR2004 - 2xx
            continue
        error = item.get("error")
        told = error if isinstance(error, dict) else {"type": status, "reason": error or ""}
        reason = f"{told.get('type', status)}: {told.get('reason', '')}"[:300]
        if status in _NEVER:
            reasons.append(reason)
        else:
            again.append(place)
            later = later or reason
    return Sent(sent, len(reasons), reasons[0] if reasons else later, tuple(again))
