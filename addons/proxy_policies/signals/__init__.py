"""What the proxy does on SIGTERM and SIGHUP."""
