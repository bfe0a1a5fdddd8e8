"""The language of rules: `read` makes a tree of a text, `nodes` has its forms, `measures` what can be measured."""

from masthead.alerts.expression.nodes import Binary, Matcher, Measure, Node, Number
from masthead.alerts.expression.reader import read

__all__ = ["Binary", "Matcher", "Measure", "Node", "Number", "read"]
