"""Looks hooks up in a table, and calls them where they are triggered."""
