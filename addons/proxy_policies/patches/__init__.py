"""Our changes to mitmproxy, one `Patch` each."""
