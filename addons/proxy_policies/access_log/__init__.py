"""A line for every request and tunnel."""
