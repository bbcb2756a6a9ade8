"""What policies share about a flow, beside what mitmproxy keeps of it."""
