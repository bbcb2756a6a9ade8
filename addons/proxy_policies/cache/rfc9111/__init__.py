"""What RFC 9111 says, as pure functions; files are named for its sections."""
