"""Hooks looked up in a table, and asked where they come up."""
