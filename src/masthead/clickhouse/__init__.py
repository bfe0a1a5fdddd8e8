"""A ClickHouse database that many hosts write to: its `address`, its `tables`, and how it is spoken to (over HTTP).

It keeps the same columns as a store in a directory, and two more: `host` (who saw the call) and `class` (of retention).
`client` asks and inserts; `sender` is what a delivery sends with.
"""
