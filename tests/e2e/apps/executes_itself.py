"""Calls `https://127.0.0.1:PORT/orders/N` at each line on stdin, then executes itself: `executes_itself.py PORT N`."""

from __future__ import annotations

import os
import ssl
import sys
from http.client import HTTPSConnection

port, number = map(int, sys.argv[1:])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
# Unbuffered: what was not read is left to whoever comes after.
if os.read(0, 1) == b"\n":
    client = HTTPSConnection("127.0.0.1", port, context=context)
    client.request("GET", f"/orders/{number}")
    os.write(1, b"%d\n" % client.getresponse().status)
    client.close()
    os.execv(sys.executable, [sys.executable, __file__, str(port), str(number + 1)])
