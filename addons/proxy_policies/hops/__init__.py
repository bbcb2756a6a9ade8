"""A proxy's duties at each hop: connection fields of its own, Via, Forwarded, and no loops."""
