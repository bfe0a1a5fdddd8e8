"""Filter expressions of the live view, such as `status >= 500 and not path ~ "/health*"`."""

from masthead.where.evaluate import Predicate, compile_expression
from masthead.where.fields import FIELDS

__all__ = ["FIELDS", "Predicate", "compile_expression"]
