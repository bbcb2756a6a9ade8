"""Clients that are served without mitmproxy's layers: who owns their connections, and what is answered there."""
