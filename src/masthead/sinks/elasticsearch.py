"""Elasticsearch and OpenSearch: `POST /_bulk`, one document of ECS names for each row.

Source: Elasticsearch's "Bulk API". The id of a document is the row's exchange id, so that a row which comes twice is
there once (`create` answers 409); a data stream takes only `create`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from masthead.delivery import Again, Outcome, Sent, TooLarge
from masthead.delivery.http import Reply

if TYPE_CHECKING:
    from masthead._native import Batch
    from masthead.delivery import Load
    from masthead.delivery.http import Http

_CONFLICT = 409
# What is wrong with a row itself; all else (rights, a full disk, a missing index) somebody can mend.
_NEVER = (400, 413, 422)
# A refusal that is about header fields, by the names of their members or by the type that they have in the mapping.
_FIELDS = re.compile(r"headers|_trailers|flattened|flat_object")
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
        """Send a bulk; rows that were refused for now come again alone.

        Where header fields are what an index refuses (a name or a value that is too long for it, say), the row is sent
        without them rather than not at all.
        """
        items, sent, failed = self._bulk(load.batch, fields=True)
        if failed is not None:
            return failed
        found = _Found.of(items)
        bare = [place for place, reason in found.never.items() if _FIELDS.search(reason)]
        if not bare:
            return found.outcome(sent)
        items, more, failed = self._bulk(load.batch.take(bare), fields=False)
        second = _Found.of(items) if failed is None else _Found(dict(enumerate([failed.reason] * len(bare))), {})
        again = {**found.later, **{bare[place]: reason for place, reason in second.later.items()}}
        never = {place: reason for place, reason in found.never.items() if place not in bare}
        never |= {bare[place]: reason for place, reason in second.never.items()}
        cut = len(bare) - len(second.later) - len(second.never)
        return replace(_Found(again, never).outcome(sent + more), cut=cut)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _bulk(self, batch: Batch, *, fields: bool) -> tuple[list[dict[str, Any]], int, TooLarge | Again | None]:
        """Give what is said of each row, nothing where all are there; bytes sent; and what failed as a whole."""
        body = batch.bulk(self._index, fields=fields)
        reply = self._http.attempt(f"/_bulk?{_ANSWER}", body, "application/x-ndjson")
        if not isinstance(reply, Reply):
            return [], 0, reply if isinstance(reply, Again | TooLarge) else Again("no answer")
        if not reply.ok:
            outcome = reply.outcome()
            # What is wrong with rows stands in the answer to a bulk; a bulk that is refused is a setting's fault.
            return [], 0, outcome if isinstance(outcome, Again | TooLarge) else Again(reply.text)
        try:
            answer = json.loads(reply.body)
            items = [next(iter(item.values())) for item in answer.get("items", ())]
            failed = bool(answer.get("errors"))
        except (ValueError, AttributeError, StopIteration):
            return [], 0, Again(f"no answer of a bulk: {reply.text}")
        if failed and len(items) != batch.num_rows:
            return [], 0, Again(f"{len(items)} answers for {batch.num_rows} rows")
        return items if failed else [], reply.sent, None


@dataclass(frozen=True, slots=True)
class _Found:
    """Why rows are not there, by their places.

    Attributes:
        later: Those that come again.
        never: Those that it will not take as they are.
    """

    later: dict[int, str]
    never: dict[int, str]

    @staticmethod
    def of(items: list[dict[str, Any]]) -> _Found:
        """Tell the rows that are there from those that come again and those that never will."""
        found = _Found({}, {})
        for place, item in enumerate(items):
            status = int(item.get("status", 0))
            if 200 <= status < 300 or status == _CONFLICT:  # noqa: PLR2004 - 2xx
                continue
            error = item.get("error")
            told = error if isinstance(error, dict) else {"type": status, "reason": error or ""}
            reason = f"{told.get('type', status)}: {told.get('reason', '')}"[:300]
            (found.never if status in _NEVER else found.later)[place] = reason
        return found

    def outcome(self, sent: int) -> Sent:
        reason = next(iter((self.never or self.later).values()), "")
        return Sent(sent, len(self.never), reason, tuple(sorted(self.later)))
