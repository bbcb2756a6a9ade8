"""Work that mitmproxy does for every message and that can be done faster, with the same result."""
