"""Mirroring: copies of live requests to a candidate build, and what it answers otherwise."""
