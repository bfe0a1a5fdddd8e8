"""TLS by NSS (libssl3, libnspr4), called by ctypes: sockets for both ends."""

from __future__ import annotations

import ctypes
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from pathlib import Path

SECONDS = 20
PEEK = 2
"""PR_MSG_PEEK"""
SECURITY = 1
"""SSL_SECURITY"""

NSPR = ctypes.CDLL("libnspr4.so")
NSS = ctypes.CDLL("libnss3.so")
SSL = ctypes.CDLL("libssl3.so")
Believe = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
believe = Believe(lambda *_: 0)
"""Accepts any certificate."""

POINTERS = [
    (NSPR, "PR_ImportTCPSocket", [ctypes.c_ssize_t]),
    (NSPR, "PR_Open", [ctypes.c_char_p, ctypes.c_int, ctypes.c_int]),
    (NSPR, "PR_Accept", [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32]),
    (SSL, "SSL_ImportFD", [ctypes.c_void_p, ctypes.c_void_p]),
    (NSS, "PK11_FindCertFromNickname", [ctypes.c_char_p, ctypes.c_void_p]),
    (NSS, "PK11_FindKeyByAnyCert", [ctypes.c_void_p, ctypes.c_void_p]),
]
NUMBERS = [
    (NSPR, "PR_Close", [ctypes.c_void_p]),
    (NSPR, "PR_Read", [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32]),
    (NSPR, "PR_Write", [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32]),
    (NSPR, "PR_Writev", [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint32]),
    (NSPR, "PR_Recv", [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int, ctypes.c_uint32]),
    (NSPR, "PR_Send", [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int, ctypes.c_uint32]),
    (NSPR, "PR_Shutdown", [ctypes.c_void_p, ctypes.c_int]),
    (NSPR, "PR_MillisecondsToInterval", [ctypes.c_uint32]),
    (NSS, "NSS_NoDB_Init", [ctypes.c_char_p]),
    (NSS, "NSS_Init", [ctypes.c_char_p]),
    (SSL, "NSS_SetDomesticPolicy", []),
    (SSL, "SSL_AuthCertificateHook", [ctypes.c_void_p, Believe, ctypes.c_void_p]),
    (SSL, "SSL_SetURL", [ctypes.c_void_p, ctypes.c_char_p]),
    (SSL, "SSL_OptionSet", [ctypes.c_void_p, ctypes.c_int32, ctypes.c_ssize_t]),
    (SSL, "SSL_ResetHandshake", [ctypes.c_void_p, ctypes.c_int]),
    (SSL, "SSL_ForceHandshake", [ctypes.c_void_p]),
    (SSL, "SSL_ConfigServerSessionIDCache", [ctypes.c_int, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_char_p]),
    (SSL, "SSL_ConfigServerCert", [ctypes.c_void_p] * 4 + [ctypes.c_uint]),
]
for library, name, takes in POINTERS:
    getattr(library, name).restype, getattr(library, name).argtypes = ctypes.c_void_p, takes
for library, name, takes in NUMBERS:
    getattr(library, name).argtypes = takes


def need(good: bool, what: str) -> None:  # noqa: FBT001 - what a C function returned
    """Fail with NSPR's own number of the error."""
    if not good:
        raise OSError(f"{what}: {NSPR.PR_GetError()}")


def patience() -> int:
    """Give the time that a call may take."""
    return int(NSPR.PR_MillisecondsToInterval(SECONDS * 1000))


class Vector(ctypes.Structure):
    """PRIOVec."""

    _fields_ = (("base", ctypes.c_char_p), ("size", ctypes.c_int))


class NssSocket:
    """What is needed of a socket, on a descriptor of NSPR's; by PR_Read and PR_Write, or PR_Recv and PR_Send."""

    def __init__(self, descriptor: int, name: Any = None, *, by_socket_calls: bool = False) -> None:
        self.descriptor = descriptor
        self.name = name
        self.by_socket_calls = by_socket_calls

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Read what is there."""
        buffer = ctypes.create_string_buffer(size)
        if self.by_socket_calls or flags:
            count = NSPR.PR_Recv(self.descriptor, buffer, size, flags, patience())
        else:
            count = NSPR.PR_Read(self.descriptor, buffer, size)
        need(count >= 0, "reading")
        return buffer.raw[:count]

    def sendall(self, data: bytes) -> None:
        """Write all of it."""
        left = bytes(data)
        while left:
            if self.by_socket_calls:
                count = NSPR.PR_Send(self.descriptor, left, len(left), 0, patience())
            else:
                count = NSPR.PR_Write(self.descriptor, left, len(left))
            need(count > 0, "writing")
            left = left[count:]

    def send_vector(self, *parts: bytes) -> None:
        """Write by PR_Writev."""
        vector = (Vector * len(parts))(*(Vector(part, len(part)) for part in parts))
        need(NSPR.PR_Writev(self.descriptor, vector, len(parts), patience()) == sum(map(len, parts)), "PR_Writev")

    def makefile(self, *_: object) -> io.BufferedReader:
        """Return a reader."""
        return io.BufferedReader(Raw(self))

    def shutdown(self, how: int) -> None:
        """End a direction: PR_Shutdown counts as shutdown(2) does."""
        NSPR.PR_Shutdown(self.descriptor, how)

    def close(self) -> None:
        """Close it."""
        if self.descriptor:
            NSPR.PR_Close(self.descriptor)
            self.descriptor = 0

    def getsockname(self) -> Any:
        """Return its address, as it was when it was made."""
        return self.name


class Raw(io.RawIOBase):
    """A socket as a raw reader."""

    def __init__(self, sock: NssSocket) -> None:
        self.sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        data = self.sock.recv(len(view))
        view[: len(data)] = data
        return len(data)


class Server:
    """Wraps sockets of a server, whose key is in a database made by certutil."""

    def __init__(self, database: Path, nickname: str) -> None:
        need(NSS.NSS_Init(f"sql:{database}".encode()) == 0, "NSS_Init")
        SSL.NSS_SetDomesticPolicy()
        need(SSL.SSL_ConfigServerSessionIDCache(0, 0, 0, None) == 0, "the session cache")
        self.certificate = NSS.PK11_FindCertFromNickname(nickname.encode(), None)
        self.key = NSS.PK11_FindKeyByAnyCert(self.certificate, None)
        need(bool(self.key), "finding the key")

    def wrap(self, sock: socket.socket) -> NssSocket:
        """Put TLS on a connection; the first read makes the handshake."""
        name = sock.getsockname()
        return NssSocket(self.imported(sock), name)

    def imported(self, sock: socket.socket) -> int:
        """Import a socket of ours, a listening one too."""
        descriptor = SSL.SSL_ImportFD(None, NSPR.PR_ImportTCPSocket(sock.detach()))
        need(bool(descriptor), "SSL_ImportFD")
        need(SSL.SSL_ConfigServerCert(descriptor, self.certificate, self.key, None, 0) == 0, "the certificate")
        SSL.SSL_ResetHandshake(descriptor, 1)
        return int(descriptor)


def client(sock: socket.socket, *, clear: bool = False) -> NssSocket:
    """Put TLS on a connection of a client that believes anybody; `clear`: not yet."""
    if not NSS.NSS_IsInitialized():
        need(NSS.NSS_NoDB_Init(None) == 0, "NSS_NoDB_Init")
        SSL.NSS_SetDomesticPolicy()
    name = sock.getsockname()
    descriptor = SSL.SSL_ImportFD(None, NSPR.PR_ImportTCPSocket(sock.detach()))
    need(bool(descriptor), "SSL_ImportFD")
    SSL.SSL_AuthCertificateHook(descriptor, believe, None)
    SSL.SSL_SetURL(descriptor, b"localhost")
    if clear:
        SSL.SSL_OptionSet(descriptor, SECURITY, 0)
    else:
        SSL.SSL_ResetHandshake(descriptor, 0)
    return NssSocket(descriptor, name, by_socket_calls=True)


def begin_tls(sock: NssSocket) -> None:
    """Turn TLS on, after a talk in clear."""
    SSL.SSL_OptionSet(sock.descriptor, SECURITY, 1)
    need(SSL.SSL_ResetHandshake(sock.descriptor, 0) == 0, "SSL_ResetHandshake")
    need(SSL.SSL_ForceHandshake(sock.descriptor) == 0, "the handshake")
