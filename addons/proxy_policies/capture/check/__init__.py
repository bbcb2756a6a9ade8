"""Checks: a recording sent again, and what differs."""
