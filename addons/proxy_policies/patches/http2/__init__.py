"""The sides of the proxy that speak HTTP/2 inside of mitmproxy's layers: what is valid, and how much is taken."""
