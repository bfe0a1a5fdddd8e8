"""Metrics for Prometheus: calls counted on the stream, quotas read from headers, and masthead's own health."""
