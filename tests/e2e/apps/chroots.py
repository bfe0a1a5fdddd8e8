"""Calls `https://127.0.0.1:PORT/` at each line, from another root than it began with: `chroots.py PORT ROOT`."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - it can't be loaded later
import os
import ssl
import sys
from http.client import HTTPSConnection

port, root = int(sys.argv[1]), sys.argv[2]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
os.chroot(root)
os.chdir("/")
while sys.stdin.buffer.readline():
    client = HTTPSConnection("127.0.0.1", port, context=context)
    client.request("GET", "/orders/1")
    os.write(1, b"%d\n" % client.getresponse().status)
    client.close()
