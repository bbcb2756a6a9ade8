"""One request and its response over sockets, from start to end, without mitmproxy's layers."""
