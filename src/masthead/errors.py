"""What can go wrong, as one family: what happened, where, and what to do about it.

The native extension raises the same classes with a single message, so each can be made from one string.
"""

from __future__ import annotations


class MastheadError(Exception):
    """Anything that masthead reports to its user.

    Args:
        what: What happened, as a sentence without its full stop.
        where: The file, line and key, the flag or the path that it is about.
        remedy: What to do about it.
    """

    exit_code = 2

    def __init__(self, what: str, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        """Give the message as it is shown: one line, and the remedy on a second one."""
        place = f"{self.where}: " if self.where else ""
        remedy = f"\n  {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{remedy}"


class ConfigError(MastheadError):
    """A setting can't be used; names the file, line and key, the variable or the flag."""


class UsageError(MastheadError):
    """The command line asks for something that does not exist or does not go together."""


class InputError(MastheadError):
    """A file to read is missing, unreadable, or not what it should be."""


class OutputError(MastheadError):
    """Rows could not be written where they were asked for."""


class StoreError(MastheadError):
    """The store can't be opened, written or read as asked; what is in it is left as it is."""


class QueryError(MastheadError):
    """A query is not understood, or asks for more than it may have."""


class NotPermittedError(MastheadError):
    """This process lacks a capability."""

    exit_code = 3


class NotSupportedError(MastheadError):
    """This kernel or this installation can't do it."""

    exit_code = 3
