"""WebSocket connections (RFC 6455): messages bounded, put together in linear time, and passed on by turns."""
