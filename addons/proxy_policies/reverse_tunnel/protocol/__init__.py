"""What home and work say to each other, as pure functions: names, handshake, messages, and what may come when."""
