"""The version of this project; pyproject.toml takes it from here, and a bare clone knows it without being installed."""

VERSION = "1.0.0"
