"""The first lines in the log: what is on, and how to have more."""
