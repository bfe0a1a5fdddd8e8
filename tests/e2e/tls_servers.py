"""The servers of `servers.py` behind TLS, with a certificate made for the test."""

from __future__ import annotations

import ssl
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from tests.e2e.servers import APACHE, APPS, CADDY, GO, KEPT, NGINX, Server, Spec, build_go
from tests.e2e.wire import Conn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NODE16 = str(KEPT / "node16" / "node")
"""Node with OpenSSL 1.1, linked in (`dev/servers node16`)."""

CERTIFICATE = "certificate.pem"
KEY = "key.pem"

HAPROXY = """
global
  nbthread 2
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend tls
  bind 127.0.0.1:{port} ssl crt {directory}/both.pem
  http-request return status 404 if {{ path_beg /missing }}
  http-request return status 200 content-type text/plain string "ok" hdr X-Served-By haproxy
"""


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Make a key and a certificate of 127.0.0.1 signed by itself; return where they are."""
    certificate, key = directory / CERTIFICATE, directory / KEY
    if not key.exists():
        name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        command = ["openssl", "req", *kind, *name, "-out", str(certificate), "-keyout", str(key)]
        subprocess.run(command, check=True, capture_output=True)
        for path in (certificate, key):
            path.chmod(0o644)
        (directory / "both.pem").write_text(certificate.read_text() + key.read_text())
    return certificate, key


def client_context() -> ssl.SSLContext:
    """Return settings of a client that believes anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connect(server: Server, context: ssl.SSLContext | None = None) -> Conn:
    """Connect by TLS."""
    conn = Conn.connect("127.0.0.1", server.port)
    conn.sock = (context or client_context()).wrap_socket(conn.sock)
    return conn


def _nginx(directory: Path, port: int) -> list[str]:
    certificate, key = make_certificate(directory)
    config = directory / "nginx.conf"
    text = NGINX.format(directory=directory, port=port, user="root")
    text = text.replace(f"listen 127.0.0.1:{port};", f"listen 127.0.0.1:{port} ssl; root {directory};")
    files = f"ssl_certificate {certificate}; ssl_certificate_key {key}; location /files {{ }}"
    config.write_text(text.replace("location / {", f"{files} location / {{"))
    return ["nginx", "-c", str(config), "-e", str(directory / "error.log")]


def _apache(directory: Path, port: int) -> list[str]:
    certificate, key = make_certificate(directory)
    modules = "/usr/lib/apache2/modules"
    ssl_lines = (
        f"LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so\nLoadModule ssl_module {modules}/mod_ssl.so\n"
        f"SSLEngine on\nSSLCertificateFile {certificate}\nSSLCertificateKeyFile {key}\nSSLSessionCache none\n"
        "KeepAliveTimeout 60\n"
    )
    config = directory / "apache.conf"
    config.write_text(APACHE.format(directory=directory, port=port) + ssl_lines)
    (directory / "ok.txt").write_text("ok\n")
    return ["apache2", "-f", str(config), "-DFOREGROUND"]


def _renegotiating(directory: Path, port: int) -> list[str]:
    command = _apache(directory, port)
    # A file that its workers may read: what they may not is refused before it comes to certificates.
    file = '<Directory /etc>\nRequire all granted\n</Directory>\nAliasMatch "^/again" /etc/hostname\n'
    again = "SSLProtocol TLSv1.2\n<LocationMatch ^/again/.*-1$>\nSSLVerifyClient optional_no_ca\n</LocationMatch>\n"
    with (directory / "apache.conf").open("a") as config:
        config.write(file + again)
    return command


def caddy(directory: Path, port: int) -> list[str]:
    """Return the command of Caddy with HTTP/1 and HTTP/2, without QUIC."""
    certificate, key = make_certificate(directory)
    text = CADDY.format(directory=directory, port=port)
    text = text.replace("auto_https off", "auto_https off\n  servers {\n    protocols h1 h2\n  }")
    text = text.replace(f"http://127.0.0.1:{port} {{", f"https://127.0.0.1:{port} {{\n  tls {certificate} {key}")
    (directory / "Caddyfile").write_text(text)
    return ["caddy", "run", "--config", str(directory / "Caddyfile"), "--adapter", "caddyfile"]


def _haproxy(directory: Path, port: int) -> list[str]:
    make_certificate(directory)
    config = directory / "haproxy.cfg"
    config.write_text(HAPROXY.format(directory=directory, port=port))
    return ["haproxy", "-db", "-f", str(config)]


def _uvicorn(directory: Path, port: int) -> list[str]:
    certificate, key = make_certificate(directory)
    more = ["--http", "h11", "--log-level", "warning", "--timeout-keep-alive", "30"]
    files = ["--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)]
    return [sys.executable, "-m", "uvicorn", "--app-dir", str(APPS), "--port", str(port), *more, *files, "asgi:app"]


def _python(directory: Path, port: int) -> list[str]:
    files = map(str, make_certificate(directory))
    return [sys.executable, str(APPS / "tls_recorder.py"), str(port), str(directory / "record"), *files]


def _node(directory: Path, port: int, program: str = "node") -> list[str]:
    files = map(str, make_certificate(directory))
    return [program, str(APPS / "tls_raw_headers.js"), str(port), str(directory / "record"), *files]


def _sni_logger(directory: Path, port: int) -> list[str]:
    return [sys.executable, str(APPS / "sni_logger.py"), str(port), *map(str, make_certificate(directory))]


def _h11(directory: Path, port: int) -> list[str]:
    files = map(str, make_certificate(directory))
    return [sys.executable, str(APPS / "h11_server.py"), str(port), str(directory / "record"), *files]


def _gnutls(directory: Path, port: int) -> list[str]:
    certificate, key = make_certificate(directory)
    files = ["--x509certfile", str(certificate), "--x509keyfile", str(key)]
    return ["gnutls-serv", "--http", "--port", str(port), *files]


def _go(*flags: str) -> Callable[[Path, int], list[str]]:
    def command(directory: Path, port: int) -> list[str]:
        binary = directory / "recorder"
        build_go(GO, binary, *flags)
        return [str(binary), str(port), str(directory / "record"), *map(str, make_certificate(directory))]

    return command


GNUTLS_TLS = Spec("gnutls-serv", ("gnutls-serv", "openssl"), _gnutls)

SNI_LOGGER = Spec("sni_logger", ("openssl",), _sni_logger)
"""It uses another socket inside the calls that make a handshake, and hands the library its bytes in memory."""

RENEGOTIATING = Spec("apache", ("apache2", "openssl"), _renegotiating)
"""It negotiates again when it has read a request for a path that ends so: `-1`."""

NGINX_TLS = Spec("nginx", ("nginx", "openssl"), _nginx)

TLS_SPECS = [
    NGINX_TLS,
    Spec("apache", ("apache2", "openssl"), _apache),
    Spec("haproxy", ("haproxy", "openssl"), _haproxy),
    Spec("caddy", ("caddy", "openssl"), caddy),
    Spec("http.server", ("openssl",), _python),
    Spec("h11", ("openssl",), _h11, ("h11",)),
    Spec("uvicorn", ("openssl",), _uvicorn, ("uvicorn", "h11")),
    Spec("node", ("node", "openssl"), _node),
    Spec("node16", (NODE16, "openssl"), partial(_node, program=NODE16)),
    Spec("go", ("go", "openssl"), _go()),
    Spec("go-stripped", ("go", "openssl"), _go("-ldflags=-s -w", "-buildmode=pie")),
]
