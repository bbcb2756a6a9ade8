"""The sides of the proxy that speak HTTP/1 inside of mitmproxy's layers, over the codec of `proxy_policies.http1`."""
