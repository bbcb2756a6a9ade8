"""WebSocket conversations: replayed to a client, and sent again to a server."""
