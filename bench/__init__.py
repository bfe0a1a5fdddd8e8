"""Measures masthead beside what people use today, on this machine, in short alternating phases: `python -m bench`.

The machine has slow spells that last longer than a phase, so nothing is compared across time: each round runs every
subject once, differences are taken within a round, and medians over rounds are given with a 95% bootstrap interval.
"""
