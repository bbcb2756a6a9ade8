"""The command `proxy-policies`: the proxy, its captures, certificates and tunnels, and what a running one says."""
