"""The name and version of this project; pyproject.toml reads the version from here."""

VERSION = "1.0.0"
NAME = "proxy-policies"
"""Our name as a command and in Cache-Status (RFC 9211)."""
