"""Changes to `HttpStream`, mitmproxy's layer for one request and its response: a mixin for each."""
