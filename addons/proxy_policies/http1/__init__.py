"""Our HTTP/1.0 and 1.1 codec: heads, framing, bodies."""
