"""The mitmproxy bugs we mend, one module each, guarded and dated."""
