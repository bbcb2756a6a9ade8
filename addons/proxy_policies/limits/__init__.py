"""Limits on one client: connections, requests, time, and frames that carry nothing."""
