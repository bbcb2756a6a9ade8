"""Streams: server-sent events, JSON lines and gRPC messages, each frame by itself."""
