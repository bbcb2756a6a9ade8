"""One request and its response inside mitmproxy's layers, with one section for each change."""
