"""The web server that Prometheus scrapes: `/metrics` and `/-/healthy`, over TLS and with a password where asked for."""

from __future__ import annotations

import base64
import contextlib
import hmac
import io
import socket
import ssl
import threading
import time
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from masthead.config.metrics import listen_address
from masthead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from masthead.config.metrics import Prometheus

# A client that says nothing for so long is left, and one that has not asked by then.
_PATIENCE = 10.0
# Scrapes at once; one more waits so long, and is then told to come again.
_AT_ONCE = 8
_WAIT_SECONDS = 1.0
_BUSY = (
    b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: text/plain\r\n\r\ntoo many readers at once\n"
)


class Endpoint:
    """Serves an application on a thread of its own until it is closed.

    Args:
        settings: Where, and who may read.
        metrics: Answers `/metrics`.

    Raises:
        ConfigError: The address can't be listened at, or a file can't be read.
    """

    def __init__(self, settings: Prometheus, metrics: WSGIApplication) -> None:
        host, port = listen_address(settings.listen)
        app = _Application(metrics, _wanted_authorization(settings))
        context = _context(settings)
        kind = _Server6 if ":" in host else _Server
        try:
            self._server = make_server(host, port, app, kind, _Handler)
        except OSError as error:
            reason = error.strerror or str(error)
            remedy = "name an address of this machine and a port that is free"
            raise ConfigError(f"can't listen at {settings.listen}: {reason}", "prometheus.listen", remedy) from error
        if context:
            # The handshake is the handler's, so that a client that never finishes it holds up nobody.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, name="prometheus", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens, if the kernel was to choose."""
        return self._server.server_port

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - as the base class has it
        self._room = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - likewise
        """Start a thread only where there is room for it: strangers choose how many connections there are."""
        if self._room.acquire(timeout=_WAIT_SECONDS):
            super().process_request(request, client_address)
            return
        if not isinstance(request, ssl.SSLSocket):
            # TLS would need a handshake first; such a connection is just closed.
            with contextlib.suppress(OSError):
                request.settimeout(0)
                request.send(_BUSY)
                # What is unread when a connection is closed resets it, answer and all.
                request.recv(1 << 16)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - likewise
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away or speaks no TLS is its own affair."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Hurried(io.RawIOBase):
    """Reads a connection up to a point in time, not only as long as it says something now and then."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._until = time.monotonic() + _PATIENCE

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever a reader brings
        self._connection.settimeout(max(0.001, self._until - time.monotonic()))
        return self._connection.recv_into(buffer)


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Hurried(self.connection))

    def parse_request(self) -> bool:
        found = super().parse_request()
        self.connection.settimeout(_PATIENCE)
        return found

    def log_message(self, *_: object) -> None:
        """Scrapes are not worth a line each."""


class _Application:
    """Tells paths apart and readers from strangers."""

    def __init__(self, metrics: WSGIApplication, authorization: bytes) -> None:
        self._metrics = metrics
        self._authorization = authorization

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/-/healthy":
            return _answer(start_response, "200 OK", b"masthead is healthy\n")
        if not self._may_read(environ):
            kind = "Bearer" if self._authorization.startswith(b"Bearer ") else "Basic"
            challenge = ("WWW-Authenticate", f'{kind} realm="masthead"')
            return _answer(start_response, "401 Unauthorized", b"not permitted\n", challenge)
        if path == "/metrics":
            return self._metrics(environ, start_response)
        return _answer(start_response, "404 Not Found", b"there is /metrics and /-/healthy\n")

    def _may_read(self, environ: WSGIEnvironment) -> bool:
        given = environ.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")
        return not self._authorization or hmac.compare_digest(given, self._authorization)


def _answer(start_response: Callable[..., object], status: str, text: bytes, *fields: tuple[str, str]) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8"), *fields])
    return [text]


def _wanted_authorization(settings: Prometheus) -> bytes:
    """Give the value of Authorization that a reader must send (RFC 6750, RFC 7617); empty where everyone may read."""
    if settings.bearer_token_file:
        return b"Bearer " + _secret(settings.bearer_token_file, "prometheus.bearer_token_file")
    if settings.basic_auth_file:
        secret = _secret(settings.basic_auth_file, "prometheus.basic_auth_file")
        if b":" not in secret:
            raise ConfigError("should hold user:password", "prometheus.basic_auth_file")
        return b"Basic " + base64.b64encode(secret)
    return b""


def _secret(file: str, key: str) -> bytes:
    try:
        secret = Path(file).read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"can't read {file}: {error.strerror or error}", key) from error
    if not secret:
        raise ConfigError(f"{file} is empty", key)
    return secret


def _context(settings: Prometheus) -> ssl.SSLContext | None:
    if not settings.cert_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    except (OSError, ssl.SSLError) as error:
        what = f"can't use {settings.cert_file} with {settings.key_file}: {error.strerror or error}"
        raise ConfigError(what, "prometheus.cert_file") from error
    return context
