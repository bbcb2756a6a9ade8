"""Proxy processes of our own, and the environment that makes clients use them."""
