"""Our HTTP/1.0 and 1.1: the codec. Heads, framing, bodies."""
