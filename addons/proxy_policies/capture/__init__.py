"""Captures: recorded exchanges that are read, replayed, sent again and compared."""
