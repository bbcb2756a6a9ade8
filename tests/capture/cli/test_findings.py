"""What redaction takes away is listed by its location, never by its value."""

import json

from proxy_policies.capture.cli.findings import findings
from proxy_policies.capture.model import Body, Entry, Request, Response, Times, WebSocketMessage
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules

S = "Wz-zbpjD-jMLZkbxrVhyYQ"
KEY = Placeholders(b"k" * 32)
JSON = ("Content-Type", "application/json")


def test_each_secret_has_its_place_and_its_rule() -> None:
    request = Request(
        "POST", f"http://a.test/x?token={S}",
        (("Authorization", "Bearer abcdef"), ("Cookie", f"sid={S}; theme=dark"), JSON),
        Body(json.dumps({"user": {"password": "summer"}, "n": 1}).encode()),
    )  # fmt: skip
    page = Body(b'<p>a</p>\n<p data-token="%s">ghp_0123456789abcdefghijklmnopqrstuvwxyz</p>' % S.encode())
    response = Response(200, "OK", (("Content-Type", "text/html"), ("Set-Cookie", f"id={S}; Path=/")), page)
    messages = (WebSocketMessage(True, True, b'{"pin": "4711"}', 1.0),)
    entry = Entry(request, response, Times(1.0), messages=messages, comment=f"see {S}")
    redactor = Redactor(parse_rules(()), KEY)
    found = [
        (one.side, one.location, redactor.rules[one.placeholder]) for one in findings(entry, redactor.entry(entry))
    ]
    assert found == [
        ("request", "query:token", "name token"),
        ("request", "header:authorization", "credentials"),
        ("request", "cookie:sid", "name token"),
        ("request", "json:$.user.password", "name password"),
        ("response", "cookie:id", "name token"),
        ("response", "body line 2", "shape"),
        ("client", "message 1", "name pin"),
        ("notes", "beside the messages", "name token"),
    ]


def test_nothing_is_found_where_nothing_goes() -> None:
    entry = Entry(Request("GET", "http://a.test/", (("X-A", KEY.of(S)),)), Response(200), Times(1.0))
    assert list(findings(entry, Redactor(parse_rules(()), KEY).entry(entry))) == []
