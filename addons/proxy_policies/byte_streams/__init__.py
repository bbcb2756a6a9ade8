"""A connection's incoming and outgoing bytes, over a plain socket or TLS."""
