"""A connection's bytes as they come and go: over a plain socket, or with TLS over it."""
