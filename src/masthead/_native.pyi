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

    def ipc(self) -> bytes:
        """Give the batch as an Arrow IPC stream."""

    def loki(self, labels_json: str, headers: str = "object") -> tuple[bytes, int, int]:
        """Give a body for Loki's `POST /loki/api/v1/push` (JSON).

        Args:
            labels_json: An object of labels and texts; `direction` (the row's role) is added where it is known.
            headers: The form of header fields in the line.

        Returns:
            The body; how many entries of structured metadata Loki's limits (128 a line, 64 KiB) left no room for; how
            many rows are without their header fields in the line, which would have been too long (256 KiB with the
            metadata), and have the entry `masthead_cut`.
        """

    def bulk(self, index: str, *, fields: bool = True) -> bytes:
        """Give a body for Elasticsearch's `_bulk`: `create` with the exchange's id, and a document of ECS names.

        Args:
            index: The data stream, or the index.
            fields: Whether documents have header fields; without them `masthead.cut` is true.
        """

    def otlp_logs(self, resource_json: str, observed_ns: int) -> bytes:
        """Give an `ExportLogsServiceRequest` (protobuf) with a log record for each row.

        Args:
            resource_json: An object: the resource's attributes and their texts.
            observed_ns: Now, nanoseconds since 1970.
        """

    def otlp_traces(self, resource_json: str) -> bytes:
        """Give an `ExportTraceServiceRequest` (protobuf) with a span for each row.

        A span's id is made from the exchange's; so is the trace's where the call has no `traceparent`.
        """

    def syslog(self, facility: int, host: str, app: str, framing: str) -> list[bytes]:
        """Give messages of RFC 5424; severity by status, MSG is the row as NDJSON has it.

        Args:
            facility: Its number.
            host: HOSTNAME.
            app: APP-NAME.
            framing: `octet` (behind their length) or `newline`: all in one text; `none`: each by itself.
        """

    def lines(self, headers: str = "object") -> tuple[bytes, list[int], list[bytes | None]]:
        """Give the rows as NDJSON, where each line ends (without its line break), and the connection of each."""

    @property
    def nbytes(self) -> int:
        """How many bytes the values of its rows take in memory; a dictionary counts whole, and once.

        Of a slice it is the part of these rows, so that the parts of a batch add up (but for dictionaries).
        """

    def slice(self, offset: int, length: int) -> Batch:
        """Give neighbouring rows, as far as there are any, without a copy: it holds the whole batch's memory."""

    def take(self, places: list[int]) -> Batch:
        """Copy the rows at these places, in this order: what is to be sent again. It holds nothing else.

        Raises:
            IndexError: There is no such row.
        """

    def sample(self, one_in: int) -> Batch:
        """Copy about one row of `one_in`, its `sample_weight` multiplied by that.

        Which rows it is hangs on the socket addresses, the number of the exchange on its connection and its place in
        its trace: for both ends of a call the choice is the same, unless addresses are translated between them or one
        end's connection began before masthead did. Rows kept at one `one_in` are kept at every lower one too, and
        rows that were sampled before are sampled anew.

        Raises:
            ValueError: `one_in` is 0.
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

    def open_exchanges(self, most: int) -> Batch:
        """Give the calls under way, those that began first, at most so many: what is known so far of each.

        Their rows come when they end. Selection, redaction and filters are applied; duration is null, body bytes are
        those so far. A call whose request's head is still coming is left out.
        """

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
            masthead.errors.InputError: It or a key log can't be opened, or it is no capture file.
        """

    @property
    def problems(self) -> list[str]:
        """What was damaged so far, one line each, with packet number or offset."""

    def next(self) -> Batch | None:
        """Read on to the next batch; `None` at the end of the file."""

    def ledger(self) -> str:
        """Give the account of everything read, logged and lost, as JSON."""

@final
class Journal:
    """A file that batches are appended to, each whole or not at all (`native/src/store/frame.rs` has the form)."""

    def __init__(self, path: str, number: int) -> None:
        """Make the file.

        Args:
            path: Where; a file that exists is never written over.
            number: Random, 64 bits; tells this journal's frames from what looks like one.

        Raises:
            OSError: It can't be made, or exists.
        """

    @property
    def rows(self) -> int:
        """How many rows were appended."""

    @property
    def bytes(self) -> int:
        """How long the file is."""

    @property
    def spoiled(self) -> bool:
        """Whether half a frame stands at its end and can't be taken back, so that nothing may follow."""

    def append(self, batch: Batch) -> None:
        """Append a batch.

        Raises:
            OSError: It could not be written; the journal is as it was before.
        """

    def sync(self) -> None:
        """Make durable what was appended; meanwhile another thread may append.

        Raises:
            OSError: The disk failed.
        """

@final
class Classes:
    """Which class of retention a row belongs to."""

    def __init__(self, classes_json: str) -> None:
        """Compile the rules.

        Args:
            classes_json: A list of `{"calls": {...} | null, "marks": [...]}`, tried in order; the class behind the
                last takes the rest.

        Raises:
            masthead.errors.ConfigError: A pattern can't be used.
        """

@final
class Tail:
    """The rows of journals as they were when this was made: an Arrow stream that can be read again and again."""

    def __init__(self, paths: list[str]) -> None:
        """Open the journals.

        Raises:
            OSError: One can't be opened.
        """

    def __arrow_c_schema__(self) -> object:
        """Give the schema as a PyCapsule (`ArrowSchema`)."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give the rows as a PyCapsule (`ArrowArrayStream`)."""

@final
class StreamFile:
    """A file that holds one Arrow IPC stream."""

    def __init__(self, path: str) -> None:
        """Open the file.

        Raises:
            OSError: It can't be opened.
            RuntimeError: It holds no Arrow IPC stream.
        """

    def __arrow_c_schema__(self) -> object:
        """Give the schema as a PyCapsule (`ArrowSchema`)."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give the rows as a PyCapsule (`ArrowArrayStream`)."""

@final
class Conformed:
    """Batches out of any Arrow stream, with exactly the columns of `masthead.schema.COLUMNS`.

    Columns are taken by name and cast where the type differs; those that the stream lacks are null.
    """

    def __init__(self, source: object) -> None:
        """Open the stream.

        Args:
            source: Anything with `__arrow_c_stream__`.
        """

    def __iter__(self) -> Conformed:
        """Give itself."""

    def __next__(self) -> Batch:
        """Read the next batch.

        Raises:
            RuntimeError: The source failed, or a column can't be cast.
        """

@final
class Tally:
    """Counts on the stream: tables of groups of rows, and what is measured of them.

    What is to be counted is JSON: `{"tables": [TABLE...]}`. A TABLE has

    - `name`: unlike any other's;
    - `where`: `{KEY: [value...], ...}`: a row is counted when each key has one of the values (texts, numbers, `null`);
      `"marks": [...]` among them: when the row has one of these marks. Left out: all rows;
    - `by`: the KEYs of a group, at most 16;
    - `cap`: how many groups there may be (in each slot). Rows of further groups are counted in one whose keys are all
      `_other`, as are rows with a key of more than 1 KiB;
    - `slot_ns`: 0 (as when left out) counts for ever; else groups are kept for each slot of so many nanoseconds, by
      the row's end (`time` + `duration_ns`; `time` alone where there is no duration). Slot n begins at n * `slot_ns`;
    - `measures`: a list of MEASUREs;
    - `measured`: whether rows without any of the measures' numbers are left out;
    - `exemplar`: whether each histogram bucket keeps the last row that is part of a sampled trace.

    A KEY is a column of `masthead.schema` (but for lists and measured numbers), or

    - `request.header.NAME`, `response.header.NAME`: the first value of that field, as logged (redacted), in any case;
    - `request.header.NAME?`, `response.header.NAME?`: whether it is there, `1` or `0`; null where the row has no head;
    - `status_class`: `2xx` and the like;
    - `error_type`: OpenTelemetry's `error.type`. The status where it is an error: from 500 for a server (and in a
      recording, which has no role), from 400 for a client. Else `reset` for rows with this mark; else `no_response`
      for rows without a status that have this mark and none of `gap`, `joined`, `overlap`. Null where all is well;
    - `method_known`: the method, or `_OTHER` where it is none of OpenTelemetry's known ones;
    - `protocol_version`: OpenTelemetry's `network.protocol.version`: `1.0`, `1.1`, `2`;
    - `route_configured`: the route where it was configured, null where it was inferred from the path;
    - `origin_address`, `origin_port`: host (in lower case) and port of the authority, each the socket's where the
      authority has none.

    A MEASURE is one of

    - `{"histogram": NUMBER, "bounds": [...]}`: weights by bucket (not cumulative; the upper end belongs to the bucket;
      one bucket more than bounds) and the weighted sum, in the unit of the column;
    - `{"sum": NUMBER}`: weighted sum, and the weight of the rows that have the number;
    - `{"last": NUMBER}`, `{"min": NUMBER}`, `{"max": NUMBER}`: unweighted, with the end of the row that had it.

    A NUMBER is `status`, a column of bytes or nanoseconds, or a header field as above. `"as"` says how a field is
    read: `"number"` (as when left out: a decimal number and nothing else), `"item"` (first item of a list, without
    parameters: `100, 100;w=60`), `"reset"` (seconds from the row's end until a quota begins anew, told in seconds, as
    `6m0s`, Unix time or RFC 3339). Rows without it change nothing; what can't be read is counted as `unreadable`.

    Weights are `sample_weight`. All calls may come from any thread.
    """

    def __init__(self, spec_json: str) -> None:
        """Begin with empty tables.

        Raises:
            masthead.errors.ConfigError: A table can't be counted as it says.
        """

    def observe(self, batch: Batch) -> None:
        """Count the rows of a batch; releases the GIL.

        Raises:
            RuntimeError: The batch lacks a column.
        """

    def snapshot(self) -> str:
        """Give all tables as they are; nobody waits for it.

        Returns:
            JSON: `{"tables": {NAME: {"by": [KEY...], "groups": [GROUP...], "overflow": {"rows", "calls"}, "late",
            "refused"}}}`. A GROUP is `{"keys": [text or null...], "rows": unweighted, "calls": weighted, "measures":
            [...]}` with, in the order of the table's measures, `{"counts": [...], "sum", "unreadable"}` for a
            histogram (and `"exemplars"`: for each bucket null or `{"trace_id", "span_id", "value", "time_ns"}`),
            `{"sum", "count", "unreadable"}` for a sum, `{"value", "time_ns", "unreadable"}` (null: none yet) for the
            others. A table of slots has `"slots": [{"start_ns", "end_ns", "groups"}...]` instead of `"groups"`.
            `overflow` is what the `_other` groups hold; `late` rows came after their slot was taken, or have no time;
            `refused` rows came when 1024 slots were open. These count from the beginning, and those of the last two
            kinds are in no group.
        """

    def take(self, before_ns: int) -> str:
        """Remove the slots that end at or before a time, and give them.

        Returns:
            JSON as of `snapshot`, of the tables of slots alone.
        """

@final
class _Schema:
    def __arrow_c_schema__(self) -> object: ...

def parse(data: bytes, response: bool, rules: Rules, max_head_bytes: int) -> list[Batch]:
    """Parse one direction of a connection, HTTP/1.x, from its first byte."""

def parse_spans(data: bytes, response: bool, finish: bool) -> list[tuple[str, int, int]]:
    """Tell the parts of one direction: `(kind, offset, length)`; `finish` says that the bytes end here."""

def tls_processes(options_json: str, own_pids: list[int]) -> str:
    """Tell, as JSON, which processes speak TLS, and whether their plaintext can be seen.

    Args:
        options_json: The `[tls]` section: `enabled`, `listening`, `processes`.
        own_pids: Processes to leave out.

    Returns:
        `{"processes": [{"pid", "name", "executable", "library", "file", "listens", "seen", "why"}], "closed": N,
        "searched": {"files", "bytes", "skipped", "ms"}}`: an entry for each process and library, the number of
        processes that we may not look into, and what it took to search files for libraries that have no symbols.

    Raises:
        masthead.errors.ConfigError: The options can't be read.
    """

def programs() -> str:
    """Load every BPF program and tell, as JSON, its name, type, hook, helpers, exits and size.

    Raises:
        masthead.errors.NotSupportedError: This kernel can't do it.
        masthead.errors.NotPermittedError: A capability is missing.
    """

def concat(batches: list[Batch]) -> Batch:
    """Copy all rows of several batches into one, in their order; none gives a batch without rows.

    Raises:
        ValueError: Together they are 2 GiB or more.
    """

def schema() -> _Schema:
    """Give the Arrow schema of a batch."""

def pack(journal: str, target: str, version: int, classes: Classes) -> str:
    """Write the rows of a journal, by time, as parts: one file `target.N` for each class N that has rows.

    Returns:
        JSON: `parts` (each `class`, `path`, `rows`, `bytes`, `crc`, `first_ns`, `last_ns`), `lost_bytes`, `damaged`,
        `torn`.

    Raises:
        OSError: A file can't be read or written; no part is left then.
    """

def merge(parts: list[str], target: str, version: int) -> str:
    """Write the rows of parts as one part.

    Returns:
        JSON: `path`, `rows`, `bytes`, `crc`, `first_ns`, `last_ns`.

    Raises:
        OSError: A file can't be read or written; `target` is gone then.
        masthead.errors.StoreError: A part is damaged; `target` is gone then.
    """

def fleet_stream(batches: list[Batch], host: str, classes: Classes, names: list[str]) -> bytes:
    """Give rows as one Arrow IPC stream (one record batch, zstd) with two columns more.

    Args:
        batches: The rows.
        host: Who saw them: column `host`.
        classes: Which class of retention each belongs to: column `class`.
        names: The names of the classes.

    Raises:
        ValueError: There are not as many names as classes.
    """

def checksum(path: str) -> int:
    """Give the CRC-32 of a file.

    Raises:
        OSError: It can't be read.
    """

def write_parquet(source: object, path: str) -> int:
    """Write any Arrow stream (anything with `__arrow_c_stream__`) to a Parquet file; gives the rows.

    Raises:
        OSError: The file can't be written.
        RuntimeError: The source failed.
    """
