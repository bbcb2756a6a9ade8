"""The fast lane: the same answers and the same bytes, without the machinery where nothing needs it."""
