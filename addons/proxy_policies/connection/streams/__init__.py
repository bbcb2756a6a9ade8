"""Where bytes of a connection come from and go to: a plain socket, one with TLS over it, one borrowed from asyncio."""
