"""The PROXY protocol: behind a load balancer, who the client is."""
