"""Connections to upstreams: looks up names, races addresses, chooses routes."""
