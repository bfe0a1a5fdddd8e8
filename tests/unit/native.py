"""A stand-in for the extension: the commands are what is tested, with rows that are known."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any, ClassVar

from masthead.errors import InputError
from tests.unit.doubles import Rows

ROW = {"time": "2026-01-01T00:00:00Z", "http": {"response": {"status_code": 200}}, "masthead": {"quality": []}}
FAILED_ROW = {**ROW, "http": {"response": {"status_code": 500}}}


class Rules:
    made: ClassVar[list[tuple[dict[str, Any], bytes]]] = []

    def __init__(self, rules_json: str, key: bytes) -> None:
        self.made.append((json.loads(rules_json), key))


class Replay:
    """Reads `good.pcap` as two batches, `damaged.pcap` as none; opens nothing else."""

    def __init__(self, path: str, rules: Rules, options_json: str) -> None:
        assert isinstance(rules, Rules)
        self.options = json.loads(options_json)
        if not path.endswith(("good.pcap", "damaged.pcap")):
            raise InputError("not a recording", path)
        self.problems = ["packet 3: cut short"] if "damaged" in path else []
        self._batches = [Rows([ROW]), Rows([FAILED_ROW])] if "good" in path else []
        self._written = 0

    def next(self) -> Rows | None:
        if not self._batches:
            return None
        self._written += 1
        return self._batches.pop(0)

    def ledger(self) -> str:
        return json.dumps({"rows": {"opened": self._written, "written": self._written}, "closed": True})


class Capture:
    """Gives one batch, then does what `on_dry` says."""

    made: ClassVar[list[Capture]] = []
    on_dry: ClassVar[Any] = None

    def __init__(self, options_json: str, rules: Rules) -> None:
        self.options = json.loads(options_json)
        self.rules = rules
        self.closed = False
        self._batches = [Rows([ROW, FAILED_ROW])]
        self.made.append(self)

    def next(self, timeout_ms: int) -> Rows | None:
        assert 0 < timeout_ms <= 1_000
        if self._batches:
            return self._batches.pop()
        if type(self).on_dry:
            type(self).on_dry()
        return None

    def set_rules(self, rules: Rules) -> None:
        self.rules = rules

    def ledger(self) -> str:
        return json.dumps({"kernel": {"seen": 2}, "rows": {"opened": 2, "written": 2}, "closed": True})

    def close(self) -> None:
        self.closed = True


def parse(data: bytes, response: bool, rules: Rules, max_head_bytes: int) -> list[Rows]:  # noqa: FBT001 - as it is
    assert isinstance(rules, Rules)
    return [Rows([{"data": data.decode(), "response": response, "limit": max_head_bytes}])]


def programs() -> str:
    program = {"name": "ingress", "type": "cgroup_skb", "attach": "ingress", "helpers": ["bpf_loop"], "exits": [1]}
    return json.dumps([{**program, "insns": 10, "verified_insns": 100}])


def tls_processes(options_json: str, own_pids: list[int]) -> str:
    assert own_pids
    on = json.loads(options_json)["enabled"]
    nginx = {"pid": 7, "name": "nginx", "executable": "/usr/sbin/nginx", "library": "openssl", "listens": True}
    entry = {
        **nginx,
        "file": "/usr/lib/libssl.so.3",
        "seen": on,
        "why": "" if on else "tls.enabled is false",
        "limits": "",
    }
    searched = {"files": 30, "bytes": 4_000_000, "skipped": 1, "ms": 5}
    return json.dumps({"processes": [entry], "closed": 2, "searched": searched})


def extension() -> ModuleType:
    """Make the module."""
    Rules.made, Capture.made, Capture.on_dry = [], [], None
    module = ModuleType("masthead._native")
    for part in (Rules, Replay, Capture, parse, programs, tls_processes):
        setattr(module, part.__name__, part)
    return module
