"""Serves clients without mitmproxy's layers: ownership of their connections, and the responses sent on them."""
