"""The border to the Rust extension: capture, replay, parsing, rules and Arrow batches.

Everything that touches each row happens on the other side; Python sees whole batches. Calls that wait or work for
long release the GIL. Errors come as classes of `masthead.errors`.
"""

# ruff: noqa: PYI021 - this stub is the manual of the border

from typing import final

@final
class Batch:
    """Finished exchanges, one row each, selected and redacted: an immutable Arrow record batch.

    The columns are those of `masthead.schema.COLUMNS`. Any library that speaks the Arrow PyCapsule interface takes a
    batch as it is: `pyarrow.table(batch)`, `polars.DataFrame(batch)`, `duckdb.sql("from batch")`.
    """

    @property
    def num_rows(self) -> int:
        """How many exchanges it holds."""

    def __arrow_c_schema__(self) -> object:
        """Give the schema as a PyCapsule (`ArrowSchema`)."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """Give the batch as a pair of PyCapsules (schema, struct array)."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give the batch as a stream of one (PyCapsule `ArrowArrayStream`)."""

    def ndjson(self, headers: str = "object") -> bytes:
        r"""Write one JSON object a row, each ending in `\n`.

        Args:
            headers: `"object"` (lowercase name to array of values) or `"pairs"` (`[[name, value], ...]`, lossless).
        """

@final
class Rules:
    """What is logged, hidden, left out and sampled, compiled once."""

    def __init__(self, rules_json: str, key: bytes) -> None:
        """Compile the rules.

        Args:
            rules_json: As `masthead.config.rules_json` makes it.
            key: The secret of the pseudonyms.

        Raises:
            masthead.errors.ConfigError: A pattern or an address range can't be used.
        """

@final
class Capture:
    """The `socket` source: BPF programs on a cgroup, and what reads them."""

    def __init__(self, options_json: str, rules: Rules) -> None:
        """Load the programs and attach them.

        Args:
            options_json: As `masthead.sources.capture_options` makes it.
            rules: Applied while batches are built.

        Raises:
            masthead.errors.NotSupportedError: This kernel can't do it.
            masthead.errors.NotPermittedError: A capability is missing.
        """

    @property
    def closed(self) -> bool:
        """Whether it was closed and nothing more can come."""

    def next(self, timeout_ms: int) -> Batch | None:
        """Wait for a batch; `None` when the time is over, or when it is closed and empty."""

    def set_rules(self, rules: Rules) -> None:
        """Apply other rules from the next batch on."""

    def ledger(self) -> str:
        """Give the account of everything seen, logged and lost, as JSON."""

    def close(self) -> None:
        """Detach and flush; `next` then gives what remains until `None`."""

@final
class Replay:
    """The `pcap` source: a pcap or pcapng file, plain or compressed with gzip."""

    def __init__(self, path: str, rules: Rules, options_json: str) -> None:
        """Open the file.

        Args:
            path: The file, or `-` for standard input.
            rules: Applied while batches are built.
            options_json: As `masthead.sources.replay_options` makes it.

        Raises:
            masthead.errors.InputError: It can't be opened or is no capture file.
        """

    @property
    def problems(self) -> list[str]:
        """What was damaged so far, one line each, with packet number or offset."""

    def next(self) -> Batch | None:
        """Read on to the next batch; `None` at the end of the file."""

    def ledger(self) -> str:
        """Give the account of everything read, logged and lost, as JSON."""

@final
class _Schema:
    def __arrow_c_schema__(self) -> object: ...

def parse(data: bytes, response: bool, rules: Rules, max_head_bytes: int) -> list[Batch]:
    """Parse one direction of a connection, HTTP/1.x, from its first byte."""

def parse_spans(data: bytes, response: bool, finish: bool) -> list[tuple[str, int, int]]:
    """Tell the parts of one direction: `(kind, offset, length)`; `finish` says that the bytes end here."""

def programs() -> str:
    """Load every BPF program and tell, as JSON, its name, type, hook, helpers, exits and size.

    Raises:
        masthead.errors.NotSupportedError: This kernel can't do it.
        masthead.errors.NotPermittedError: A capability is missing.
    """

def schema() -> _Schema:
    """Give the Arrow schema of a batch."""
