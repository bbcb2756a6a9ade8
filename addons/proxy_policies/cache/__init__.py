"""A shared HTTP cache as RFC 9111 has it; files are named for its sections."""
