"""A small gateway before a small API, mixed traffic, and `masthead tail` on both: `make demo`."""
