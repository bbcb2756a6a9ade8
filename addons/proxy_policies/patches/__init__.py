"""What is changed of mitmproxy, by a `Patch` each."""
