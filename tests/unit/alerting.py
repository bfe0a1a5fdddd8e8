"""Rules for tests, and slots for them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from masthead.alerts.evaluation import Evaluation
from masthead.alerts.rules import read_file
from masthead.alerts.tables import taken
from masthead.extension import native
from tests.unit.stored import BEGIN_NS, SECOND, batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from masthead.alerts.states import Transition
    from tests.unit.stored import Call

SLOT = 15 * SECOND


def rules(*expressions: str, **more: str) -> Evaluation:
    """Give an evaluation of rules `a0`, `a1`, ...; `more` are further lines of each rule, such as `for_="1m"`."""
    lines = "".join(f'{key.rstrip("_")} = "{value}"\n' for key, value in more.items())
    text = "".join(
        f"[[group.rule]]\nalert = 'a{number}'\nexpr = '''{expression}'''\n{lines}"
        for number, expression in enumerate(expressions)
    )
    return evaluated(f"[[group]]\nname = 'g'\n{text}")


def evaluated(text: str, slot_ns: int = SLOT) -> Evaluation:
    """Give an evaluation of a file's text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rules.toml"
        path.write_text(text)
        return Evaluation(read_file(path), slot_ns)


def run(
    evaluation: Evaluation,
    calls: Iterable[Call],
    seconds: int,
    lost: Mapping[int, Mapping[str, int]] | None = None,
    begin_ns: int = BEGIN_NS,
) -> list[Transition]:
    """Have calls counted by the extension and rules asked, from the beginning on."""
    tally = native().Tally(evaluation.specification())
    found: list[Transition] = []
    chunks = list(calls)
    for batch in batches(chunks):
        tally.observe(batch)
    end_ns = begin_ns + seconds * SECOND
    slots = taken(tally.take(end_ns)).slots
    slot = evaluation.slot_ns
    for at in range(begin_ns // slot * slot + slot, end_ns + 1, slot):
        found += evaluation.advance(at, slots.get(at, {}), (lost or {}).get(at))
    return found


def held(evaluation: Evaluation) -> dict[str, dict[tuple[str, ...], float]]:
    """Give value by labels (their texts, sorted by name) of what fires, by rule."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for _, alert in evaluation.alerts():
        if alert.state == "firing":
            labels = tuple(text for name, text in sorted(alert.labels.items()) if name != "alertname")
            found.setdefault(alert.labels["alertname"], {})[labels] = alert.value
    return found
