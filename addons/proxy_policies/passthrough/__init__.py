"""Tunnels passed through untouched: their row, their log lines, their counts."""
