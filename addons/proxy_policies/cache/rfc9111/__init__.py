"""The rules of RFC 9111 as pure functions; files are named after its sections."""
