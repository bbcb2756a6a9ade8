"""An origin with pages of each kind, which records its requests."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = b"<html><head><title>foo</title></head><body><p>All work and no play makes foo a dull page.</p>\n" * 60
JSON = json.dumps([{"number": number, "name": "foo"} for number in range(100)]).encode()
PAGES = {
    "/html": ({"Content-Type": "text/html", "Set-Cookie": "session=1"}, TEXT),
    "/json": ({"Content-Type": "application/json", "ETag": '"v1"'}, JSON),
    "/gzip": ({"Content-Type": "text/html", "Content-Encoding": "gzip"}, gzip.compress(TEXT)),
    "/chunked": ({"Content-Type": "text/plain", "Transfer-Encoding": "chunked"}, TEXT),
    "/large": ({"Content-Type": "application/octet-stream"}, TEXT * 300),
    "/stored": ({"Content-Type": "text/html", "Cache-Control": "max-age=60"}, TEXT),
    "/moved": ({"Location": "/html"}, b""),
}

Noted = tuple[str, str, bytes]
"""Method, target and body of a request."""


class Origin(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1, as a context manager."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.noted: list[Noted] = []

    def __enter__(self) -> Origin:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        fields, content = PAGES.get(path, ({"Content-Type": "text/plain"}, b"no such page"))
        if path != "/stored" and isinstance(self.server, Origin):
            self.server.noted.append((self.command, self.path, body))
        self.send_response(302 if path == "/moved" else 200 if path in PAGES else 404)
        for name, value in fields.items():
            self.send_header(name, value)
        is_chunked = "Transfer-Encoding" in fields
        if not is_chunked:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content) if is_chunked else content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
