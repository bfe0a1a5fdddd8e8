"""SIGHUP: the settings are read again, and what can change while masthead runs does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from masthead.alerts.opening import new_evaluation
from masthead.alerts.rules import read_rules
from masthead.commands import flags
from masthead.config import restart_needed
from masthead.rules import compile_rules
from masthead.sinks import Sink, complain, open_sink
from masthead.store.kinds import Kinds

if TYPE_CHECKING:
    import argparse

    from masthead.alerts.sink import AlertsSink
    from masthead.commands.keeping import Keeping
    from masthead.config import Config
    from masthead.pipeline import Pipeline
    from masthead.sources import CaptureSource


@dataclass(frozen=True, slots=True)
class Reload:
    """Puts the settings of the file in force that can change while running.

    Attributes:
        parsed: The command line, whose flags lie over the file.
        started: The settings that masthead was started with.
        source: Takes other rules.
        pipeline: Its first sink is the output.
        keeping: The store, where there is one.
        alerts: The alerts, where there are any.
    """

    parsed: argparse.Namespace
    started: Config
    source: CaptureSource
    pipeline: Pipeline
    keeping: Keeping | None
    alerts: AlertsSink | None

    def __call__(self) -> str:
        """Do it, or change nothing; gives what to tell the user.

        Raises:
            MastheadError: A setting, or a rule, can't be used.
        """
        config = flags.settings(self.parsed).config
        rules = compile_rules(config, complain)
        fresh = new_evaluation(config.alerts, read_rules(config.alerts.rules)) if self.alerts else None
        output: Sink = open_sink(config.output)
        try:
            if self.keeping:
                self.keeping.set_kinds(Kinds.of(config))
        except BaseException:
            output.close()
            raise
        # Nothing can fail from here on: until now the old settings were in force, now the new ones are.
        self.source.set_rules(rules)
        if self.alerts and fresh:
            self.alerts.set_rules(fresh)
        old, self.pipeline.sinks[0] = self.pipeline.sinks[0], output
        old.close()
        waiting = restart_needed(self.started, config)
        return "settings read again" + (f"; only a restart changes {', '.join(waiting)}" if waiting else "")
