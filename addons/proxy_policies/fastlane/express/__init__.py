"""The express lane: a plain HTTP/1.1 exchange without mitmproxy's stack of layers."""
