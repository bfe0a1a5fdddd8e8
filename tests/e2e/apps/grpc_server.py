"""A gRPC server without generated code, that writes down what each call told it: grpc_server PORT LOG.

With CERTIFICATE KEY behind it, over TLS.

Messages are octets as they are: a length-prefixed message needs no protocol buffers.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG = Path(sys.argv[2])
LOCK = threading.Lock()


def note(context: Any, method: str, requests: int) -> None:
    """Write one call down."""
    fields = [[key, value.hex() if isinstance(value, bytes) else value] for key, value in context.invocation_metadata()]
    with LOCK, LOG.open("a") as log:
        log.write(json.dumps({"method": method, "fields": fields, "requests": requests}) + "\n")


def unary(request: bytes, context: Any) -> bytes:
    """One message each way, with metadata before and behind."""
    note(context, "Unary", 1)
    binary = "x-blob-bin" in dict(context.invocation_metadata())
    context.send_initial_metadata((("x-served-by", "grpcio"), *((("x-blob-bin", b"\x00\x01\xff"),) if binary else ())))
    context.set_trailing_metadata((("x-cost", "17"), *((("x-more-bin", b"\xfe\xff"),) if binary else ())))
    return request[::-1]


def fails(_request: bytes, context: Any) -> bytes:
    """No message, a status with a text that needs escaping."""
    note(context, "Fails", 1)
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: 100 % später")
    return b""


def collect(requests: Iterator[bytes], context: Any) -> bytes:
    """Messages in, one out."""
    count = sum(1 for _ in requests)
    note(context, "Collect", count)
    return str(count).encode()


def expand(request: bytes, context: Any) -> Iterator[bytes]:
    """One in, messages out: small ones, an empty one, a large one."""
    note(context, "Expand", 1)
    for number in range(int(request)):
        yield b"m" * number
    yield bytes(100_000)


def converse(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
    """One out for each in."""
    count = 0
    for request in requests:
        count += 1
        yield request
    note(context, "Converse", count)


def waits(_request: bytes, context: Any) -> Iterator[bytes]:
    """Messages until the client has enough of it."""
    note(context, "Waits", 1)
    gone = threading.Event()
    context.add_callback(gone.set)
    while not gone.wait(0.05):
        yield b"still here"


METHODS: dict[str, Any] = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Fails": grpc.unary_unary_rpc_method_handler(fails),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Expand": grpc.unary_stream_rpc_method_handler(expand),
    "Converse": grpc.stream_stream_rpc_method_handler(converse),
    "Waits": grpc.unary_stream_rpc_method_handler(waits),
}

server = grpc.server(ThreadPoolExecutor(8))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Orders", METHODS),))
if files := [Path(name).read_bytes() for name in sys.argv[3:]]:
    certificate, key = files
    server.add_secure_port(f"127.0.0.1:{sys.argv[1]}", grpc.ssl_server_credentials([(key, certificate)]))
else:
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
