"""What a proxy owes each hop: its own connection fields, Via, Forwarded, and no loops."""
