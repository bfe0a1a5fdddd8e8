"""Questions about what was logged, in DuckDB's or ClickHouse's SQL.

`open` opens a store for questions: `duck` over a directory, `clickhouse` over a cluster. `expand` makes header fields
pleasant to ask for, `questions` has the ready ones for both dialects (`dialect`), `output` writes answers.
"""
