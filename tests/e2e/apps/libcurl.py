"""Calls URLs on one connection by one of the builds of libcurl, verbosely: `libcurl.py LIBRARY URL...`."""

from __future__ import annotations

import ctypes
import sys

URL, VERBOSE, HEADER = 10002, 41, 10023
VERIFY_PEER, VERIFY_HOST = 64, 81
"""curl.h: the options that are set."""

CURL = ctypes.CDLL(sys.argv[1])
CURL.curl_easy_init.restype = CURL.curl_slist_append.restype = ctypes.c_void_p
CURL.curl_slist_append.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
CURL.curl_easy_perform.argtypes = CURL.curl_easy_cleanup.argtypes = [ctypes.c_void_p]

handle = ctypes.c_void_p(CURL.curl_easy_init())
fields = ctypes.c_void_p(CURL.curl_slist_append(None, b"X-Tenant: acme"))
CURL.curl_easy_setopt(handle, ctypes.c_int(HEADER), fields)
for option, value in ((VERBOSE, 1), (VERIFY_PEER, 0), (VERIFY_HOST, 0)):
    CURL.curl_easy_setopt(handle, ctypes.c_int(option), ctypes.c_long(value))
for url in sys.argv[2:]:
    CURL.curl_easy_setopt(handle, ctypes.c_int(URL), ctypes.c_char_p(url.encode()))
    if error := CURL.curl_easy_perform(handle):
        sys.exit(f"curl: {error}")
CURL.curl_easy_cleanup(handle)
