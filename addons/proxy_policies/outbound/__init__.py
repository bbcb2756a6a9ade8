"""Connections to upstreams: names looked up, addresses raced, routes chosen."""
