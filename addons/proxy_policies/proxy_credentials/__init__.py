"""What is left of the credentials that clients give to mitmproxy's proxyauth."""
