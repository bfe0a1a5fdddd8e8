"""Requests to a server elsewhere: one pool of connections, TLS, credentials, compression, and answers as outcomes."""

from __future__ import annotations

import gzip
import os
import re
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import urllib3

from masthead.delivery.outcome import Again, Outcome, Refused, Sent, TooLarge
from masthead.errors import ConfigError
from masthead.secret import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_SECONDS = 5.0
# What anybody reads of an answer; answers about single rows of a load may be long.
TEXT_BYTES = 64 << 20
_TOLD = 300
# Faster is worth more here than a tenth fewer bytes.
_GZIP_LEVEL = 1
# Answers that say "later", or that somebody here or there has to mend something first (credentials, a path).
_LATER = frozenset({401, 403, 404, 405, 407, 408, 409, 423, 425, 429})
_TOO_LARGE = 413
_NO_RETRY = urllib3.Retry(total=0, connect=0, read=0, redirect=0, status=0, other=0)


class UnreachableError(Exception):
    """Nobody answered, or not to the end."""


@dataclass(frozen=True, slots=True)
class Security:
    """Who we are and whom we trust.

    Attributes:
        ca_file: Certificates of the authorities that are trusted; empty: the system's.
        cert_file: Our own certificate; empty: none.
        key_file: Its key, where it is in a file of its own.
        verify: Whether the server has to prove who it is.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """Give it as Python's TLS takes it.

        Raises:
            ConfigError: A file can't be read.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file or None)
        except (OSError, ssl.SSLError) as error:
            place = self.cert_file or self.ca_file
            raise ConfigError(f"no certificate: {error}", place, "name a readable file of PEM") from error
        if not self.verify:
            # Asked for in the settings; a warning with each request would say nothing new.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves who we are; read from files or variables, never from a setting itself.

    Attributes:
        user: For basic authentication.
        password_file: Its password; the first line.
        token_file: A bearer token, or what `scheme` says; the first line.
        token_env: A variable with it, instead.
        scheme: The scheme of `Authorization` for a token.
    """

    user: str = ""
    password_file: str = ""
    token_file: str = ""
    token_env: str = ""
    scheme: str = "Bearer"

    def headers(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the header fields; files are read anew each time, since tokens are renewed.

        Raises:
            ConfigError: A file can't be read, or a variable is not set.
        """
        environ = os.environ if environ is None else environ
        if self.user:
            password = first_line(self.password_file) if self.password_file else ""
            pair = b64encode(f"{self.user}:{password}".encode()).decode()
            return {"authorization": f"Basic {pair}"}
        if self.token_file:
            return {"authorization": f"{self.scheme} {first_line(self.token_file)}"}
        if self.token_env:
            if self.token_env not in environ:
                raise ConfigError("the variable with the token is not set", self.token_env, "set it, or use token_file")
            return {"authorization": f"{self.scheme} {environ[self.token_env]}"}
        return {}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered.

    Attributes:
        status: The status code.
        headers: Its fields; names in any case.
        body: Its content.
        sent: Bytes of the request's content, as they went over the wire.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent: int = 0

    @property
    def ok(self) -> bool:
        """Whether it did it."""
        return 200 <= self.status < 300  # noqa: PLR2004 - 2xx

    @property
    def text(self) -> str:
        """The first line of what it says, for people."""
        line = self.body[:4096].decode(errors="replace").strip().partition("\n")[0][:_TOLD]
        return f"status {self.status}{f': {line}' if line else ''}"

    @property
    def after(self) -> float | None:
        """How long it asks to wait, seconds (RFC 9110, section 10.2.3)."""
        value = self.headers.get("retry-after", "").strip()
        if value.isdecimal():
            return float(value)
        try:
            until = parsedate_to_datetime(value)
            now = parsedate_to_datetime(self.headers["date"])
            return max(0.0, (until - now).total_seconds())
        except (ValueError, KeyError, TypeError, OverflowError):
            return None

    def outcome(self) -> Outcome:
        """Give it as the outcome of an attempt: what somebody can mend is tried again, what rows can't help is not."""
        if self.ok:
            return Sent(bytes=self.sent)
        if self.status == _TOO_LARGE:
            return TooLarge(self.text)
        if self.status >= 500 or self.status in _LATER or 300 <= self.status < 400:  # noqa: PLR2004 - 5xx, 3xx
            return Again(self.text, self.after)
        return Refused(self.text)


@dataclass(slots=True)
class Http:
    """Requests to one server; threads may share it.

    Attributes:
        url: Where it is, with the path that all requests begin with.
        security: Certificates.
        credentials: Who we are.
        headers: Fields of every request.
        compress: Whether content leaves compressed (gzip).
        seconds: How long an answer may take.
    """

    url: str
    security: Security = field(default_factory=Security)
    credentials: Credentials = field(default_factory=Credentials)
    headers: Mapping[str, str] = field(default_factory=dict)
    compress: bool = True
    seconds: float = 30.0
    _pool: urllib3.PoolManager = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Prepare the connections."""
        context = self.security.context() if self.url.startswith("https:") else None
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=self.seconds)
        self._pool = urllib3.PoolManager(maxsize=4, timeout=timeout, retries=_NO_RETRY, ssl_context=context)

    def post(self, path: str, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Send content of a media type.

        Raises:
            ConfigError: The credentials can't be read.
            UnreachableError: Nobody answered.
        """
        fields = {"content-type": kind, **(headers or {})}
        if self.compress:
            body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
            fields["content-encoding"] = "gzip"
        return self.request("POST", path, body, fields)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Make one request.

        Raises:
            ConfigError: The credentials can't be read.
            UnreachableError: Nobody answered.
        """
        fields = {**self.headers, **self.credentials.headers(), **(headers or {})}
        try:
            with self._pool.request(
                method, self.url.rstrip("/") + path, body=body, headers=fields, preload_content=False
            ) as response:
                content = response.read(TEXT_BYTES)
                return Reply(response.status, response.headers, content, len(body or b""))
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(unreachable(error)) from error
        except ValueError as error:
            # A header's value, most likely; its text may be the secret, so it is not told.
            remedy = "look for line breaks and other characters than ASCII in headers, tenant, user and token"
            raise ConfigError(f"the request can't be made: {type(error).__name__}", self.url, remedy) from None

    def attempt(self, path: str, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> Outcome | Reply:
        """Send content; gives the answer, or the outcome where there is none."""
        try:
            return self.post(path, body, kind, headers)
        except (UnreachableError, ConfigError) as error:
            return Again(str(error).replace("\n", ";"))

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()


def unreachable(error: Exception) -> str:
    """Tell in one line why nobody answered."""
    reason = getattr(error, "reason", None) or error
    text = re.sub(r"^<?[\w.]*(?:Connection|Pool)\w*(?: object at 0x[0-9a-f]+>|\([^)]*\)): ", "", str(reason))
    return text or type(error).__name__
