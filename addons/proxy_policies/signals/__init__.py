"""What the proxy does when it is told to stop, or to read its files again."""
