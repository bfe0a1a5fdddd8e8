"""Where a database is: `clickhouse://user@host:8123/db`, or `clickhouses://` for TLS."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

from masthead.errors import ConfigError
from masthead.secret import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS = {"clickhouse": 8123, "clickhouses": 8443}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORM = "write clickhouse://user@host:8123/database, or clickhouses:// for TLS"


def is_address(place: str) -> bool:
    """Tell whether a place is a database, not a directory."""
    return place.startswith(tuple(f"{scheme}://" for scheme in _PORTS))


@dataclass(frozen=True, slots=True)
class Address:
    """A database.

    Attributes:
        secure: Whether TLS is spoken.
        host: The server's name.
        port: Of its HTTP interface.
        user: Who asks; empty: the server's default user.
        database: Where the tables are.
        password: Of the user; empty: none. It is never shown.
    """

    secure: bool
    host: str
    port: int
    user: str
    database: str
    password: str = ""

    @classmethod
    def parse(cls, text: str, password_file: str = "", environ: Mapping[str, str] | None = None) -> Self:
        """Read an address.

        Args:
            text: The address, without a password.
            password_file: A file whose first line is the password; without it, the variable `CLICKHOUSE_PASSWORD`.
            environ: The environment; the process's own when left out.

        Raises:
            ConfigError: It is no address, holds a password, or the file can't be read.
        """
        environ = os.environ if environ is None else environ
        try:
            found = urlsplit(text)
            port = found.port or _PORTS.get(found.scheme, 0)
        except ValueError:
            raise ConfigError("not the address of a database", _shown(text), _FORM) from None
        if found.password:
            remedy = "leave it out of the address: put it into a file (store.password_file) or into CLICKHOUSE_PASSWORD"
            raise ConfigError("a password in an address is seen by everybody on the host", _shown(text), remedy)
        database = unquote(found.path.strip("/")) or "default"
        if not port or not found.hostname or found.query or found.fragment or not _NAME.fullmatch(database):
            raise ConfigError("not the address of a database", _shown(text), _FORM)
        password = first_line(password_file) if password_file else environ.get("CLICKHOUSE_PASSWORD", "")
        secure = found.scheme == "clickhouses"
        return cls(secure, found.hostname, port, unquote(found.username or ""), database, password)

    @property
    def url(self) -> str:
        """Its HTTP interface."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}/"

    def __str__(self) -> str:
        """Give it without the password."""
        user = f"{self.user}@" if self.user else ""
        scheme = "clickhouses" if self.secure else "clickhouse"
        return f"{scheme}://{user}{self.host}:{self.port}/{self.database}"

    def __repr__(self) -> str:
        """Give it without the password."""
        return f"Address({str(self)!r})"


def _shown(text: str) -> str:
    # Greedy: a password may hold what an address can't.
    return re.sub(r"//.*@", "//***@", text)
