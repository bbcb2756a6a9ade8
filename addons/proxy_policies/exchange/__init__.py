"""One request and its response over sockets, from top to bottom, without mitmproxy's layers."""
