"""Streams of frames: server-sent events, JSON lines and gRPC messages."""
