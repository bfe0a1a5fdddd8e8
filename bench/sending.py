"""What each sink costs: the same rows through every one, one after another, in alternating rounds.

    python -m bench.sending [--rounds N] [--rows N] [NAME...]

HTTP goes to an nginx that reads and discards, syslog to a program that reads and discards, so that two processors are
as fast as they go; Kafka and OTLP over gRPC go to real servers, where `dev/servers` has brought them. Rows are made-up
calls of twelve fields (`bench.history`). CPU is the sending process's own (all threads), less what the rows cost
without a sink.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from bench.children import await_true, child, free_port, listening
from bench.history import BATCH_ROWS, rows_sql
from masthead._native import Conformed
from masthead.commands.sending import open_sinks
from masthead.config import Config
from masthead.errors import MastheadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masthead._native import Batch
    from masthead.delivery import Delivery

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log /dev/null;
events {{ worker_connections 256; }}
http {{
  access_log off; client_max_body_size 0; client_body_buffer_size 32m; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/a; fastcgi_temp_path {folder}/b; uwsgi_temp_path {folder}/c; scgi_temp_path {folder}/d;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{port}/taken; proxy_pass_request_body off; }}
    location /taken {{ default_type application/json; return 200 '{{"errors":false,"items":[]}}'; }}
  }}
}}
"""
DISCARD = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    while connection.recv(1 << 20):
        pass
"""


def rows(count: int) -> list[Batch]:
    """Make rows, so that making them is no part of what is measured."""
    found: list[Batch] = []
    with duckdb.connect() as connection:
        for first in range(0, count, BATCH_ROWS):
            sql = rows_sql(first, min(count, first + BATCH_ROWS), 1_000_000)
            found += Conformed(connection.sql(sql))
    return found


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """Start what discards; gives the `[[sink]]` table of each sink."""
    with ExitStack() as stack:
        web, log = free_port(), free_port()
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=web))
        stack.enter_context(child(["nginx", "-c", str(config), "-p", str(folder)], folder / "nginx.log"))
        reading = stack.enter_context(child(["python3", "-c", DISCARD, str(log)], folder / "discard.log"))
        await_true(reading, lambda: listening(web) and listening(log), folder / "nginx.log")
        url = f"http://127.0.0.1:{web}"
        tables: dict[str, dict[str, Any]] = {
            "file": {"kind": "file", "path": str(folder / "calls.ndjson"), "keep": 1, "compression": "none"},
            "webhook": {"kind": "webhook", "url": url},
            "webhook, not compressed": {"kind": "webhook", "url": url, "compression": "none"},
            "syslog": {"kind": "syslog", "address": f"127.0.0.1:{log}"},
            "loki": {"kind": "loki", "url": url},
            "loki, not compressed": {"kind": "loki", "url": url, "compression": "none"},
            "elasticsearch": {"kind": "elasticsearch", "url": url},
            "elasticsearch, not compressed": {"kind": "elasticsearch", "url": url, "compression": "none"},
            "otlp": {"kind": "otlp", "url": url},
            "otlp, not compressed": {"kind": "otlp", "url": url, "compression": "none"},
            "clickhouse": {"kind": "clickhouse", "url": f"clickhouse://127.0.0.1:{web}/logs"},
        }
        _real(stack, folder, tables)
        yield tables


def _real(stack: ExitStack, folder: Path, tables: dict[str, dict[str, Any]]) -> None:
    from tests.sinks.collector.server import Collector  # noqa: PLC0415 - where they are not, the others are measured
    from tests.sinks.kafka.server import Kafka  # noqa: PLC0415

    for kind, table in ((Kafka, {"kind": "kafka"}), (Collector, {"kind": "otlp", "protocol": "grpc"})):
        if reason := kind.missing():
            print(f"{kind.name}: left out: {reason}")
            continue
        server: Any = stack.enter_context(kind(folder / kind.name))
        if isinstance(server, Kafka):
            tables["kafka (a real broker)"] = {**table, "brokers": server.bootstrap}
        else:
            tables["otlp over gRPC (a real collector)"] = {**table, "url": f"http://{server.grpc}"}


def opened(table: dict[str, Any], spool: Path) -> Delivery:
    """Open one sink."""
    config = Config.model_validate({"sink": [table], "delivery": {"spool": str(spool)}})
    (sink,) = open_sinks(config)
    return sink


def measured(sink: Delivery | None, batches: list[Batch]) -> tuple[float, float]:
    """Write all rows and wait until they are sent; gives CPU and time, microseconds a row."""
    count = sum(batch.num_rows for batch in batches)
    cpu, began = time.process_time(), time.perf_counter()
    for batch in batches:
        while sink is not None and sink.queued_bytes > 24 << 20:
            time.sleep(0.001)
        if sink is not None and sink.write(batch):
            raise MastheadError(f"{sink.name}: {sink.account.text()}")
    while sink is not None and sink.account.waiting:
        time.sleep(0.001)
        if sink.account.failures > 3:  # noqa: PLR2004 - it will not come right
            raise MastheadError(f"{sink.name}: {sink.account.text()}")
    return (time.process_time() - cpu) / count * 1e6, (time.perf_counter() - began) / count * 1e6


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("names", nargs="*", help="only sinks whose name has one of these words")
    parsed = parser.parse_args()
    batches = rows(parsed.rows)
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as tables:
        wanted = {
            sink: table
            for sink, table in tables.items()
            if not parsed.names or any(word in sink for word in parsed.names)
        }
        found: dict[str, list[tuple[float, float, float]]] = {sink: [] for sink in wanted}
        for number in range(parsed.rounds):
            for sink, table in wanted.items():
                delivery = opened(table, Path(name) / f"spool-{number}")
                cpu, took = measured(delivery, batches)
                delivery.close()
                found[sink].append((cpu, took, delivery.account.bytes / parsed.rows))
            print(f"round {number + 1} of {parsed.rounds}", flush=True)
    print("\n| sink | CPU, us a row | rows a second | bytes a row |\n| --- | --- | --- | --- |")
    for sink, results in found.items():
        cpus = [cpu for cpu, *_ in results]
        rate = 1e6 / statistics.median(took for _, took, _ in results)
        size = statistics.median(size for *_, size in results)
        spread = f"{statistics.median(cpus):.2f} [{min(cpus):.2f}, {max(cpus):.2f}]"
        print(f"| {sink} | {spread} | {rate:,.0f} | {size:,.0f} |")


if __name__ == "__main__":
    main()
