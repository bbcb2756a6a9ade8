"""A WebSocket server that answers every message."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import websockets.sync.server


class Chat:
    """Sends a greeting, answers each message with a text and bytes, and closes after the message `enough`."""

    def __init__(self, greeting: str = "welcome", answer: str = "heard") -> None:
        self.greeting, self.answer = greeting, answer
        self.heard: list[object] = []

    def __call__(self, connection: websockets.sync.server.ServerConnection) -> None:
        connection.send(json.dumps({"say": self.greeting}))
        for message in connection:
            self.heard.append(message)
            if message == "enough":
                connection.close(4001, "so it is")
                return
            connection.send(json.dumps({self.answer: message}))
            connection.send(b"\x00\xff")


@contextmanager
def serving(chat: Chat, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve a chat on a free port, and yield its URL."""
    with websockets.sync.server.serve(chat, "127.0.0.1", 0, ssl=tls, open_timeout=100) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"{'wss' if tls else 'ws'}://localhost:{server.socket.getsockname()[1]}/chat?room=1"
        server.shutdown()
        thread.join(100)
