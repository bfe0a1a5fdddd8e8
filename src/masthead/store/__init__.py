"""What was logged, kept in a directory: journals that rows are appended to, and immutable Parquet parts by the hour.

    store/
        format.json                     which version wrote it
        lock                            held by the one who writes
        events.ndjson                   what was deleted, merged, found damaged, and why
        journal/000000000042.20261124T03.journal
        parts/errors/20261124T03/000000000037-000000000041.812.v1.5d41402a.parquet
        damaged/                        what could not be read, kept for whoever wants to look

Each journal has a number, in order; each part has the numbers of the journals whose rows it holds. Two rules make
every moment of the directory readable, also after a crash and while it is written:

- a journal that exists hides the parts that have its number: they are being made from it;
- a part hides the parts of its class and hour whose numbers lie within its own: it was merged from them.

`layout` knows names and rules, `writer` appends and `keeper` packs, merges and deletes behind it, `snapshot` is the
view of a reader. What is to be merged and deleted is decided by pure functions (`compaction`, `retention`).
"""
