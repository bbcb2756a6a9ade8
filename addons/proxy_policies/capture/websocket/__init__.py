"""WebSocket conversations as requests and responses."""
