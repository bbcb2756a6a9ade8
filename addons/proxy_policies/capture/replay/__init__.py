"""Replay: every request answered from a capture, with no connection leaving."""
