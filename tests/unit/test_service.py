from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from masthead.commands.service import Service
from masthead.commands.signals import Signals
from masthead.errors import ConfigError
from masthead.pipeline import Pipeline
from tests.unit.doubles import Clock, Recorded, Rows
from tests.unit.test_pipeline import Keeping


@dataclass
class Scene:
    """A service whose source, when dry, does the next thing of a script and in the end asks to stop."""

    script: list[Callable[[], None]]
    reload: Callable[[], str] = lambda: "settings read again"
    signals: Signals = field(default_factory=Signals)
    source: Recorded = field(default_factory=lambda: Recorded(deque()))
    sink: Keeping = field(default_factory=Keeping)
    clock: Clock = field(default_factory=Clock)
    told: list[str] = field(default_factory=list)
    trouble: str | None = None

    def play(self, hint: str = "") -> None:
        def next_scene() -> None:
            if self.script:
                self.script.pop(0)()
            else:
                self.signals.stop = True

        self.source.on_dry = next_scene
        pipeline = Pipeline(self.source, [self.sink])
        Service(
            pipeline,
            self.signals,
            reload=self.reload,
            tell=self.told.append,
            hint=hint,
            trouble=lambda: self.trouble,
            clock=self.clock,
        ).run()


def test_stopping_writes_what_is_left_and_tells_the_account() -> None:
    scene = Scene([])
    scene.source.batches.append(Rows([{"n": 1}]))
    scene.play()
    assert len(scene.sink.got) == 1
    assert [text.splitlines()[0] for text in scene.told] == ["ledger"]
    assert "written 1" in scene.told[0]


def test_the_account_is_told_when_asked_for_and_work_goes_on() -> None:
    scene = Scene([])
    scene.script = [lambda: setattr(scene.signals, "report", True), lambda: None]
    scene.play()
    assert len(scene.told) == 2


def test_a_file_with_a_mistake_leaves_the_old_settings_in_force() -> None:
    def refuse() -> str:
        raise ConfigError("unknown key", "masthead.toml:3")

    scene = Scene([], reload=refuse)
    scene.script = [lambda: setattr(scene.signals, "reload", True), lambda: None]
    scene.play()
    assert scene.told[0] == "the settings stay as they were: masthead.toml:3: unknown key"


def test_a_minute_with_losses_leaves_a_line_in_the_log() -> None:
    scene = Scene([])
    scene.source.counts = {"kernel.seen": 0, "kernel.refused.ring_full": 0}

    def lose() -> None:
        scene.source.counts |= {"kernel.seen": 9, "kernel.refused.ring_full": 4}
        scene.clock.now = 30

    def minute() -> None:
        assert scene.sink.notes == []
        scene.clock.now = 60

    def quiet_minute() -> None:
        scene.clock.now = 120

    scene.script = [lose, minute, quiet_minute, lambda: None]
    scene.play()
    assert [note["masthead"] for note in scene.sink.notes] == [
        {"event": "loss", "seconds": 60, "kernel": {"seen": 9, "refused": {"ring_full": 4}}}
    ]
    assert str(scene.sink.notes[0]["time"]).endswith("Z")


def test_losses_of_the_last_minute_are_noted_at_the_end() -> None:
    scene = Scene([])
    scene.script = [lambda: scene.source.counts.update({"records.failed.version": 1})]
    scene.play()
    assert len(scene.sink.notes) == 1


def test_what_can_not_be_seen_any_more_is_told_once() -> None:
    scene = Scene([])

    def at(minute: int, trouble: str) -> None:
        scene.clock.now, scene.trouble = minute * 60.0, trouble

    scene.script = [lambda: at(1, "a"), lambda: at(2, "a"), lambda: at(3, "b"), lambda: None]
    scene.play()
    assert [text for text in scene.told if not text.startswith("ledger")] == ["a", "b"]


@pytest.mark.parametrize(("rows", "hints"), [([], ["try: curl"]), ([Rows([{}])], [])])
def test_who_sees_nothing_for_ten_seconds_is_told_what_to_try_once(rows: list[Rows], hints: list[str]) -> None:
    scene = Scene([])
    scene.source.batches.extend(rows)
    scene.script = [lambda: setattr(scene.clock, "now", 9.9), lambda: setattr(scene.clock, "now", 10), lambda: None]
    scene.play(hint="try: curl")
    assert [text for text in scene.told if not text.startswith("ledger")] == hints
