"""The sides of the proxy that speak HTTP/2 inside mitmproxy's layers: validity and limits."""
