"""The counts of what has ended, which /metrics and the dashboard show."""
