"""What carries bytes between home and work: connections opened and accepted, frames, TLS, two transports joined."""
