"""Sets, adds and removes fields by rules."""
