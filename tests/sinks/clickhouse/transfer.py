"""Bodies over HTTP: their length or chunks, and their compression."""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import TYPE_CHECKING

from tests.sinks.clickhouse.statements import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from email.message import Message
    from io import BufferedIOBase

GZIP = 31  # zlib's number for gzip's wrapping


def content(headers: Message, stream: BufferedIOBase) -> bytes:
    """Read a request's body and unpack it."""
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        body = b"".join(_chunks(stream))
    else:
        body = stream.read(int(headers.get("Content-Length", "0")))
    encoding = headers.get("Content-Encoding", "identity").lower()
    return body if encoding == "identity" else _unpacked(body, encoding)


def _chunks(stream: BufferedIOBase) -> Iterator[bytes]:
    while size := int(stream.readline().partition(b";")[0], 16):
        yield stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass


def _unpacked(body: bytes, encoding: str) -> bytes:
    pa = import_module("pyarrow")  # only for what is packed

    names = {"gzip": "gzip", "zstd": "zstd", "br": "brotli", "lz4": "lz4"}
    if encoding not in names:
        raise RefusedError(f"Code: 415. DB::Exception: Unknown encoding {encoding}. (UNSUPPORTED_MEDIA_TYPE)")
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), names[encoding]) as unpacking:
            return bytes(unpacking.read())
    except (OSError, pa.ArrowInvalid) as error:
        raise RefusedError(f"Code: 117. DB::Exception: The body is no {encoding}: {error}. (INCORRECT_DATA)") from error


class Packing:
    """Packs an answer's pieces with gzip if the client takes that and asked for it; else hands them on."""

    def __init__(self, headers: Message, settings: dict[str, str]) -> None:
        accepted = "gzip" in headers.get("Accept-Encoding", "")
        self.used = accepted and settings.get("enable_http_compression", "0") in {"1", "true"}
        self._packer = zlib.compressobj(wbits=GZIP)

    def pack(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Return the pieces as they go out."""
        for piece in pieces:
            yield self._packer.compress(piece) if self.used else piece

    def rest(self) -> bytes:
        """Return what is left at the end."""
        return self._packer.flush() if self.used else b""
