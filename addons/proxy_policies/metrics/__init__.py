"""Counts of what the proxy does, for Prometheus."""
