"""Secrets in captures: find them, replace them by placeholders, and substitute real values before sending."""
