"""Recording: every exchange into a capture as it ends."""
