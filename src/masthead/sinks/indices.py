"""What Elasticsearch and OpenSearch need before documents come: a template with ECS types, and how long they stay.

Sources: Elasticsearch, "Create index template", "Create lifecycle policy"; OpenSearch, "Index templates", "Index State
Management"; ECS 8 for the types. Header fields are `flattened` (Elasticsearch) or `flat_object` (OpenSearch): as many
names as strangers make up are one field of the mapping.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from masthead.delivery.http import UnreachableError
from masthead.errors import OutputError

if TYPE_CHECKING:
    from masthead.delivery.http import Http

NAME = "masthead"
Kind = Literal["elasticsearch", "opensearch"]
_NOT_FOUND = (404, 405)
# What a server that knows no such path answers with 400, as it does to what is wrong with a policy.
_NO_PATH = "no handler found"

# Where not said otherwise a text is a keyword, and a number a long.
_IPS = ("client.ip", "source.ip", "server.ip", "destination.ip")
_WILDCARDS = ("url.original", "url.path", "url.query", "user_agent.original")
_FLAT = (
    *("http.request.headers", "http.response.headers"),
    *("masthead.request_trailers", "masthead.response_trailers", "masthead.interim.headers"),
)
_LONGS = (
    *("event.duration", "http.request.bytes", "http.request.body.bytes", "http.response.bytes"),
    *("http.response.body.bytes", "http.response.status_code", "client.port", "source.port", "server.port"),
    *("destination.port", "url.port", "process.pid", "masthead.network_namespace", "masthead.request_head_bytes"),
    *("masthead.response_head_bytes", "masthead.ttfb_ns", "masthead.head_spread_ns", "masthead.trace_flags"),
    "masthead.interim.status",
)
_DATES = ("@timestamp", "event.start", "event.end")


def template(kind: Kind, index: str) -> dict[str, Any]:
    """Give the index template of a data stream."""
    lifecycle = {"index.lifecycle.name": NAME} if kind == "elasticsearch" else {}
    return {
        "index_patterns": [index, f"{index}-*"],
        "data_stream": {},
        "priority": 200,
        "template": {"settings": {"index.codec": "best_compression", **lifecycle}, "mappings": mappings(kind)},
        "_meta": {"description": "Calls logged by masthead, with the names of ECS"},
    }


def mappings(kind: Kind) -> dict[str, Any]:
    """Give the types of a document's fields."""
    # A value beyond what the index can hold as one term would cost the whole document.
    flat = {"type": "flattened", "ignore_above": 8191} if kind == "elasticsearch" else {"type": "flat_object"}
    wide = {"type": "wildcard"} if kind == "elasticsearch" else {"type": "keyword", "ignore_above": 8191}
    properties: dict[str, Any] = {}
    for names, form in (
        (_DATES, {"type": "date_nanos"}),
        (_IPS, {"type": "ip"}),
        (_LONGS, {"type": "long"}),
        (_FLAT, flat),
        (_WILDCARDS, wide),
        (("masthead.sample_weight",), {"type": "double"}),
        (("masthead.cut",), {"type": "boolean"}),
    ):
        for name in names:
            _place(properties, name.split("."), form)
    texts = {"match_mapping_type": "string", "mapping": {"type": "keyword", "ignore_above": 1024}}
    return {"dynamic_templates": [{"texts": texts}], "properties": properties}


def policy(kind: Kind, index: str, keep: str) -> dict[str, Any]:
    """Give how long documents stay; an index is closed each day, or at 50 GB."""
    if kind == "elasticsearch":
        rollover = {"max_age": "1d", "max_primary_shard_size": "50gb"}
        phases = {
            "hot": {"actions": {"rollover": rollover}},
            "delete": {"min_age": keep, "actions": {"delete": {}}},
        }
        return {"policy": {"phases": phases}}
    leave = [{"state_name": "delete", "conditions": {"min_index_age": keep}}]
    rolled = [{"rollover": {"min_index_age": "1d", "min_primary_shard_size": "50gb"}}]
    states = [
        {"name": "hot", "actions": rolled, "transitions": leave},
        {"name": "delete", "actions": [{"delete": {}}], "transitions": []},
    ]
    described = {"description": "masthead", "default_state": "hot", "states": states}
    return {"policy": {**described, "ism_template": [{"index_patterns": [index, f"{index}-*"], "priority": 200}]}}


def prepare(http: Http, kind: Kind, index: str, keep: str) -> str:
    """Make template and policy; gives what was done, in words.

    Raises:
        OutputError: The server refused the template.
    """
    ours = "/_ilm/policy/masthead" if kind == "elasticsearch" else "/_plugins/_ism/policies/masthead"
    done = [f"index template {NAME} for {index}"]
    status, text = _put(http, ours, policy(kind, index, keep))
    unknown = status in _NOT_FOUND or (status == 400 and _NO_PATH in text)  # noqa: PLR2004 - Bad Request
    if unknown:
        done.append(f"no lifecycle policy ({text}): documents stay until you delete them")
    elif status == 409:  # noqa: PLR2004 - OpenSearch's for a policy that is there
        done.append(f"lifecycle policy {NAME} is there already and was left alone")
    elif status >= 300:  # noqa: PLR2004 - all but 2xx
        raise OutputError(f"the lifecycle policy was refused: {text}", http.url, "check keep and the user's rights")
    else:
        done.append(f"lifecycle policy {NAME}: {keep}")
    body = template(kind, index)
    if unknown and kind == "elasticsearch":
        body["template"]["settings"].pop("index.lifecycle.name")
    status, text = _put(http, f"/_index_template/{NAME}", body)
    if status >= 300:  # noqa: PLR2004 - all but 2xx
        raise OutputError(f"the index template was refused: {text}", http.url, "check the user's rights")
    return "; ".join(done)


def _put(http: Http, path: str, body: dict[str, Any]) -> tuple[int, str]:
    try:
        reply = http.request("PUT", path, json.dumps(body).encode(), {"content-type": "application/json"})
    except UnreachableError as error:
        raise OutputError(f"no answer: {error}", http.url, "check the address and the network") from error
    return reply.status, reply.text


def _place(properties: dict[str, Any], name: list[str], form: dict[str, Any]) -> None:
    first, *rest = name
    if rest:
        _place(properties.setdefault(first, {"properties": {}})["properties"], rest, form)
    else:
        properties[first] = form
