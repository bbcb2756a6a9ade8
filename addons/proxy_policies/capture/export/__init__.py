"""Captures written as other programs' files: commands, scripts, tests, descriptions."""
