"""Alerts: rules over the stream of calls, with Prometheus' words.

    batch -> Tally (the extension) -> slots -> windows -> expression -> state of each alert -> notifications

A slot is a fixed span of time, such as 15 s, to which a call belongs by its end. `Evaluation` is told slot by slot what
was counted and gives the changes of state; it has no clock, so that `masthead alerts check` runs the same code over
what is stored. `AlertsSink` feeds it live. What is not known (masthead was not running) is kept apart from what is
zero.
"""
