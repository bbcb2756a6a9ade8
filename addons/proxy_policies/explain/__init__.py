"""Shows what the policies did with a flow, wherever a user may view it."""
