"""`masthead doctor`: what this host allows, what is missing, and the remedy."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from masthead.commands import flags
from masthead.errors import NotSupportedError
from masthead.extension import native
from masthead.host import Host
from masthead.host.checks import Check, checks
from masthead.host.tls import Searched, Speaker, Survey, asked, survey

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_EPILOG = """
ok: fine. note: works, with this limit. missing: capturing can't work here until it is there.
Exit code 0 when nothing is missing, else 3. A note never changes it.

examples:
  sudo masthead doctor
  sudo masthead doctor --json | jq '.checks[] | select(.state != "ok")'
  sudo masthead doctor --programs     the helpers that each BPF program calls, and its exits
"""
_STYLES = {"ok": "green", "note": "yellow", "missing": "bold red"}
_NOT_READY = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--programs", action="store_true", help="load the BPF programs and list what they may do")
    flags.add_config_flag(parser)


def execute(parsed: argparse.Namespace) -> int:
    """Look and tell."""
    if parsed.programs:
        return _programs(as_json=parsed.json)
    config = flags.settings(parsed).config
    extension = _extension()
    found = [*checks(Host(), config.capture.ring_bytes), extension]
    looked = Survey([], 0, Searched(0, 0, 0, 0))
    if extension.state == "ok":
        looked = survey(native().tls_processes(asked(config.tls), [os.getpid()]))
    found.append(_tls(looked))
    missing = any(check.state == "missing" for check in found)
    if parsed.json:
        report = {
            "ready": not missing,
            "checks": [dataclasses.asdict(check) for check in found],
            "tls": [dataclasses.asdict(speaker) for speaker in looked.speakers],
            "tls_searched": dataclasses.asdict(looked.searched),
        }
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        _show(found)
        _show_speakers(looked.speakers)
    return _NOT_READY if missing else 0


def _extension() -> Check:
    try:
        native()
    except NotSupportedError as error:
        return Check("extension", "missing", error.what, error.remedy or "")
    return Check("extension", "ok", "masthead._native")


def _tls(looked: Survey) -> Check:
    searched = looked.searched
    seen = len({speaker.pid for speaker in looked.speakers if speaker.seen})
    every = len({speaker.pid for speaker in looked.speakers})
    details = [
        f"{seen} of {every} processes with a TLS library are seen",
        f"{searched.files} files searched for linked libraries in {searched.ms} ms",
    ]
    if searched.skipped:
        details.append(f"{searched.skipped} files could not be searched")
    if not looked.closed:
        return Check("TLS", "ok", "; ".join(details))
    details.append(f"{looked.closed} processes can't be looked into")
    return Check("TLS", "note", "; ".join(details), "add CAP_SYS_PTRACE")


def _show_speakers(speaking: Sequence[Speaker]) -> None:
    if not speaking:
        return
    file = Column("file", overflow="fold")
    table = Table("pid", "process", "library", file, "plaintext", box=None, pad_edge=False)
    for speaker in speaking:
        table.add_row(str(speaker.pid), speaker.name, speaker.library, speaker.file, _plaintext(speaker))
    Console(highlight=False).print("", table, sep="\n")


def _plaintext(speaker: Speaker) -> str:
    if not speaker.seen:
        return f"not seen: {speaker.why}"
    return f"seen; {speaker.limits}" if speaker.limits else "seen"


def _show(found: Sequence[Check]) -> None:
    console = Console(highlight=False)
    for check in found:
        line = Text.assemble((f"{check.state:<8}", _STYLES[check.state]), f"{check.name:<14}", check.detail)
        if check.remedy:
            line.append(f"; {check.remedy}", "dim")
        console.print(line, soft_wrap=True)


def _programs(*, as_json: bool) -> int:
    text = native().programs()
    if as_json:
        sys.stdout.write(text.rstrip() + "\n")
        return 0
    table = Table("program", "hook", "helpers", "exits", "instructions", box=None, pad_edge=False)
    for program in json.loads(text):
        table.add_row(*_program(program))
    Console().print(table)
    return 0


def _program(program: dict[str, Any]) -> tuple[str, ...]:
    hook = f"{program.get('type', '')} {program.get('attach', '')}".strip()
    instructions = f"{program.get('insns', '?')} ({program.get('verified_insns', '?')} verified)"
    listed = (", ".join(map(str, program.get(key, []))) for key in ("helpers", "exits"))
    helpers, exits = listed
    return str(program.get("name", "?")), hook, helpers, exits, instructions
