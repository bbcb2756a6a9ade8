"""HTTP/1.1 over bare sockets: heads, bodies and exchanges (RFC 9112)."""
