"""Name and version of this project: pyproject.toml takes the version from here, and a bare clone knows both."""

VERSION = "1.0.0"
NAME = "proxy-policies"
"""What we are called: as a command and in Cache-Status (RFC 9211)."""
