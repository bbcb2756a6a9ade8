"""The sides of the proxy that speak HTTP/1 inside mitmproxy's layers, with the codec of `proxy_policies.http1`."""
