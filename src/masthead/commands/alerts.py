"""`masthead alerts`: check rules, test receivers, see what fires, silence it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from masthead.alerts import report
from masthead.alerts.history import replayed, stored_losses
from masthead.alerts.memory import read
from masthead.alerts.notify.notice import Notice, Told
from masthead.alerts.notify.receivers import receivers
from masthead.alerts.opening import new_evaluation, silences
from masthead.alerts.rules import read_rules
from masthead.commands import asking, flags
from masthead.config.alerts import MATCHER
from masthead.config.model import DEFAULT_STORE
from masthead.config.units import age_seconds
from masthead.errors import ConfigError, MastheadError, OutputError, UsageError
from masthead.extension import native
from masthead.query.times import read_time
from masthead.sinks import complain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from masthead.alerts.rules import Ready
    from masthead.alerts.states import Transition
    from masthead.config.alerts import Alerts
    from masthead.query.open import Reader

_EPILOG = """
examples:
  masthead alerts check /etc/masthead/alerts/*.toml
  masthead alerts check rules.toml --store /var/lib/masthead/store --since 30d
  masthead alerts test                      send a test notification to every receiver
  masthead alerts list                      what is pending or fires
  masthead alerts silence add 'alertname="Slow"' --for 2h --comment "deploying"
  masthead alerts silence list
  masthead alerts silence expire 1f0c9a3b

check exits with 1 when a rule can't be used; that rules would have fired is no finding.
test exits with 1 when a receiver was not reached. docs/alerts.md explains rules.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    parts = parser.add_subparsers(dest="part", metavar="WHAT", required=True)
    check = parts.add_parser("check", help="validate rule files; with --store tell when they would have fired")
    check.add_argument("files", nargs="*", metavar="FILE", help="rule files; default: alerts.rules")
    check.add_argument("--since", metavar="WHEN", default="30d", help="how far back: an age or a time; default 30d")
    flags.add_config_flag(check)
    flags.add_flags(check, "store", (*asking.STORE, *asking.LIMITS))
    test = parts.add_parser("test", help="send a test notification to each receiver")
    test.add_argument("names", nargs="*", metavar="RECEIVER", help="only these")
    flags.add_config_flag(test)
    listed = parts.add_parser("list", help="tell which alerts are pending or fire")
    flags.add_config_flag(listed)
    _configure_silence(parts.add_parser("silence", help="add, list or end silences"))


def _configure_silence(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = parts.add_parser("add", help="tell nobody of the alerts that meet all matchers")
    add.add_argument("match", nargs="+", metavar="MATCHER", help="such as 'severity=\"page\"'")
    add.add_argument("--for", dest="age", metavar="AGE", default="1h", help="how long; default 1h")
    add.add_argument("--comment", default="", help="why")
    expire = parts.add_parser("expire", help="end a silence")
    expire.add_argument("name", help="as `silence list` shows it")
    for part in (add, expire, parts.add_parser("list", help="tell the silences in force")):
        flags.add_config_flag(part)


def execute(parsed: argparse.Namespace) -> int:
    """Do what was asked for."""
    work = {"check": _check, "test": _test, "list": _list, "silence": _silence}
    return work[parsed.part](parsed)


def _check(parsed: argparse.Namespace) -> int:
    settings = flags.settings(parsed).config
    patterns = parsed.files or settings.alerts.rules
    if not patterns:
        raise UsageError("no rules to check", "alerts check", "name files, or set alerts.rules")
    try:
        rules = read_rules(patterns)
        # The Tally has limits of its own, such as the number of keys.
        native().Tally(new_evaluation(settings.alerts, rules).specification())
    except ConfigError as error:
        complain(str(error))
        return 1
    sys.stdout.write(f"{len(rules)} rules, all valid\n")
    if getattr(parsed, "store.path", None):
        asking.with_store(parsed, lambda reader: _look_back(parsed, settings.alerts, rules, reader))
    return 0


def _look_back(parsed: argparse.Namespace, settings: Alerts, rules: Sequence[Ready], reader: Reader) -> None:
    now_ns = time.time_ns()
    evaluation = new_evaluation(settings, rules)
    lost = stored_losses(Path(getattr(parsed, "store.path") or DEFAULT_STORE), evaluation.slot_ns)
    since_ns = read_time(parsed.since, now_ns, "--since")
    found: list[Transition] = list(replayed(evaluation, reader, since_ns, now_ns, lost))
    sys.stdout.write(report.history(found, [ready.rule.alert for ready in rules], evaluation.learning()))


def _test(parsed: argparse.Namespace) -> int:
    settings = flags.settings(parsed).config.alerts
    known = receivers(settings)
    missing = [name for name in parsed.names if name not in known]
    if missing or not known:
        what = f'no receiver "{missing[0]}"' if missing else "no receivers"
        raise UsageError(what, "alerts test", f"known: {', '.join(known) or 'none; see [[alerts.webhook]]'}")
    now_ns, failed = time.time_ns(), False
    for name in parsed.names or known:
        annotations = {"summary": "This is a test of masthead's notifications. Nothing is wrong."}
        labels = {**settings.external_labels, "alertname": "MastheadTest", "severity": "none"}
        alert = Told(labels, annotations, 1.0, now_ns)
        try:
            known[name].deliver(Notice(name, {"alertname": "MastheadTest"}, (alert,), now_ns, settings.external_url))
            sys.stdout.write(f"{name}: sent\n")
        except OutputError as error:
            failed = True
            sys.stdout.write(f"{name}: failed: {error}\n")
    return 1 if failed else 0


def _list(parsed: argparse.Namespace) -> int:
    settings = flags.settings(parsed).config.alerts
    path = Path(settings.state) / "states.json"
    problems: list[str] = []
    states = read(path, problems.append)
    if problems:
        raise MastheadError(problems[0], str(path), "run this as a user who may read it")
    if states is None:
        raise MastheadError("there are no states", str(path), "masthead run writes them when alerts.rules names rules")
    sys.stdout.write(report.standing(states, silences(settings, complain), time.time_ns()))
    return 0


def _silence(parsed: argparse.Namespace) -> int:
    held = silences(flags.settings(parsed).config.alerts, complain)
    now_ns = time.time_ns()
    if parsed.action == "list":
        sys.stdout.write(report.silences(held.all(), now_ns))
        return 0
    try:
        if parsed.action == "expire":
            if not held.expire(parsed.name, now_ns):
                raise UsageError(
                    f'no silence "{parsed.name}" is in force', "alerts silence", "see: alerts silence list"
                )
            return 0
        added = held.add(_matchers(parsed.match), now_ns + _span_ns(parsed.age), parsed.comment, now_ns)
    except OSError as error:
        raise OutputError(f"the silence can't be written: {error.strerror or error}", error.filename) from error
    sys.stdout.write(f"{added.name}\n")
    return 0


def _matchers(texts: Sequence[str]) -> Sequence[str]:
    for text in texts:
        if not MATCHER.fullmatch(text):
            raise UsageError(f"{text} is no matcher", "alerts silence", "such as 'severity=\"page\"'")
    return texts


def _span_ns(age: str) -> int:
    try:
        seconds = age_seconds(age)
    except ValueError as error:
        raise UsageError(f'"{age}" {error}', "--for", "such as 2h") from None
    if not seconds:
        raise UsageError("a silence has an end", "--for", "such as 2h")
    return round(seconds * 1e9)
