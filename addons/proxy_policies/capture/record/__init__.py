"""Recording exchanges into a capture."""
