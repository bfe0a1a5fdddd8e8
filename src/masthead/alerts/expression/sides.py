"""What the two sides of a sign must have in common, so that no rule is silent because its labels never meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.alerts.expression.measures import CATALOGUE
from masthead.alerts.expression.nodes import COMPARISONS, SETS, Binary, Measure, Number

if TYPE_CHECKING:
    from masthead.alerts.expression.arguments import Refuse
    from masthead.alerts.expression.nodes import Node


def keys(tree: Node) -> tuple[str, ...]:
    """Give the keys of the series that a tree has values for."""
    if isinstance(tree, Number):
        return ()
    if isinstance(tree, Measure):
        if tree.name not in ("new_values", "gone_values"):
            return tree.by
        # The value stands last, whether it was asked for or not.
        return (*(key for key in tree.by if key != tree.texts[0]), tree.texts[0])
    left, right = keys(tree.left), keys(tree.right)
    return left if tree.sign in SETS or len(left) >= len(right) else right


def alarms(tree: Node) -> bool:
    """Tell whether a tree is a condition: has values only where something is amiss."""
    if isinstance(tree, Binary):
        return tree.sign in COMPARISONS or tree.sign in SETS
    return isinstance(tree, Measure) and CATALOGUE[tree.name].alarms


def check_sides(tree: Node, refuse: Refuse) -> None:
    """Refuse what is no condition, or whose sides have nothing to do with each other."""
    if not alarms(tree):
        refuse(tree.at, "this is always true", "compare it: error_ratio[5m] > 5%")
    _check(tree, refuse)


def _check(tree: Node, refuse: Refuse) -> None:
    if not isinstance(tree, Binary):
        return
    _check(tree.left, refuse)
    _check(tree.right, refuse)
    left, right = set(keys(tree.left)), set(keys(tree.right))
    if tree.sign in SETS:
        for side in (tree.left, tree.right):
            if not alarms(side):
                refuse(side.at, f'a side of "{tree.sign}" is a condition', "compare it: calls[5m] > 100")
        if tree.sign == "or" and left != right:
            refuse(tree.at, 'the sides of "or" have different keys', "give both the same by (...)")
    elif isinstance(tree.left, Number) and isinstance(tree.right, Number) and tree.sign in COMPARISONS:
        refuse(tree.at, "two numbers are compared", "one side is something measured: calls[5m] > 100")
    elif not (left <= right or right <= left):
        refuse(
            tree.at, "each side has a key that the other lacks", "the keys of one side must all be keys of the other"
        )
