"""The connections between home and work: opening and accepting, frames, TLS, and linking two transports."""
