"""WebSocket connections (RFC 6455): messages are bounded, assembled in linear time, and passed on in turns."""
