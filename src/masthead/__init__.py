"""masthead: every API call's headers, straight from the kernel.

    import masthead

    for batch in masthead.replay("calls.pcap"):
        print(batch.ndjson().decode(), end="")

    with masthead.open("/var/lib/masthead/store") as store:
        print(store.sql("SELECT route, count(*) FROM exchanges WHERE status >= 500 GROUP BY route"))

Batches are Arrow record batches (`masthead.schema` lists the columns); pyarrow, polars and DuckDB take them as they
are. Nothing is loaded before the first call.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masthead.api.live import Batches
    from masthead.api.store import Store

__all__ = ["capture", "open", "replay"]


def replay(path: str, *, keylog: str | Sequence[str] = (), config: str | None = None, **settings: object) -> Batches:
    """Iterate the exchanges recorded in a pcap or pcapng file.

    Args:
        path: The file, plain or `.gz`; `-` for standard input.
        keylog: Key log files (SSLKEYLOGFILE, RFC 9850) that open its TLS connections.
        config: A masthead.toml; without it the defaults count.
        **settings: Single settings by section and key, such as `request_allow=["host"]`.

    Raises:
        masthead.errors.InputError: The file or a key log can't be opened, or it is no capture file.
        masthead.errors.ConfigError: A setting is wrong.
    """
    from masthead.api.live import open_replay  # noqa: PLC0415 - nothing heavy at import

    keylogs = [keylog] if isinstance(keylog, (str, os.PathLike)) else list(keylog)
    return open_replay(path, keylogs, config, settings)


def capture(*, config: str | None = None, **settings: object) -> Batches:
    """Iterate the exchanges of this host as they end; leave the loop, or the `with` block, to stop.

    Args:
        config: A masthead.toml; without it the defaults count.
        **settings: Single settings by section and key, such as `capture_ports=[8080]`.

    Raises:
        masthead.errors.NotPermittedError: A capability is missing.
        masthead.errors.NotSupportedError: This kernel can't do it.
        masthead.errors.ConfigError: A setting is wrong.
    """
    from masthead.api.live import open_capture  # noqa: PLC0415 - nothing heavy at import

    return open_capture(config, settings)


def open(place: str | None = None, *, config: str | None = None, **settings: object) -> Store:  # noqa: A001 - as in gzip
    """Open a store for questions; nothing is written to it, and a service may go on writing.

    Args:
        place: Its directory; without it, the one that the settings name, else `/var/lib/masthead/store`.
        config: A masthead.toml; without it the defaults count.
        **settings: Single settings by section and key, such as `query_memory="500MB"`.

    Raises:
        masthead.errors.StoreError: There is no store, or not one that this version can read.
        masthead.errors.ConfigError: A setting is wrong.
    """
    from masthead.api.store import open_store  # noqa: PLC0415 - nothing heavy at import

    return open_store(place, config, settings)
