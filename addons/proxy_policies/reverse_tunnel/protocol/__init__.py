"""The protocol between home and work, without I/O: names, handshake, messages, and their order."""
