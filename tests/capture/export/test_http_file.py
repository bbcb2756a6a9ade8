"""A `.http` file, as editors send it."""

from proxy_policies.capture.export.http_file import http_file
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times


def test_each_request_is_a_section() -> None:
    fields: Headers = (("Host", "a.test"), ("Content-Type", "text/plain"), ("Content-Length", "9"), ("X-A", "1"))
    entries = [
        Entry(Request("POST", "http://a.test/x", fields, Body(b"a\n### b\n")), Response(201), Times(1.0)),
        Entry(Request("GET", "http://a.test/y"), Response(0), Times(2.0)),
        Entry(Request("PUT", "http://a.test/z", (), Body(b"\xff\0")), Response(200), Times(3.0)),
    ]
    assert "".join(http_file(entries)) == (
        "### 1: POST http://a.test/x (201)\nPOST http://a.test/x\nContent-Type: text/plain\nX-A: 1\n\na\n ### b\n\n"
        "### 2: GET http://a.test/y (no response)\nGET http://a.test/y\n\n"
        "### 3: PUT http://a.test/z (200)\n# its body, 2 bytes, is not text\nPUT http://a.test/z\n\n"
    )
