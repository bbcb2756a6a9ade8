"""A page that shows what the proxy does, as it does it."""
