"""HTTP/1.1 (RFC 9112): the codec, for mitmproxy's layers too (heads, framing, chunks), and exchanges over sockets."""
