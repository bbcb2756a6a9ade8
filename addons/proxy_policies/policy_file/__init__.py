"""Options kept in a file that may change while the proxy runs."""
