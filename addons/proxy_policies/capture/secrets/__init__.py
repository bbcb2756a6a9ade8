"""Secrets in captures: found, replaced by placeholders, and put back for sending."""
