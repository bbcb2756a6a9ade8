"""A recorded visit to a shop, with values that later requests send back, to be exported as scripts and run."""

import json
from urllib.parse import quote

from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules
from tests.support.origin import Answer, Origin, Received

JSON = ("Content-Type", "application/json")
HTML = ("Content-Type", "text/html")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
PASSWORD = 'Sum"mer+25&x'


def recording(sid: str, csrf: str, order: int, origin: str = "http://shop.test") -> list[Entry]:
    """Record a visit, with the values that one build returned."""
    item = f"item-{order}-x7"
    cookie: Headers = (("Cookie", f"sid={sid}; theme=dark"),)
    created = Response(201, "", (JSON, ("Location", f"/orders/{order}?t={quote(csrf, safe='')}")), Body(b"{}"))
    page = Body(f'<form action="/a"><input name="csrf" value="{csrf}"></form><a href="/items/{item}">i</a>'.encode())
    login = f"csrf={quote(csrf, safe='')}&password={quote(PASSWORD, safe='')}"
    paid = {"order_ids": [order], "note": csrf, "passcode": PASSWORD}
    opened = Response(200, "", (HTML, ("Set-Cookie", f"sid={sid}; Path=/; Domain=shop.test; Secure")), page)
    exchanges = [
        (Request("GET", f"{origin}/"), opened),
        (
            Request("POST", f"{origin}/login?a=1", (*cookie, FORM), Body(login.encode())),
            Response(302, "", (("Location", "/x"),)),
        ),
        (Request("POST", f"{origin}/orders", (*cookie, JSON), Body(b'{"n": 1}')), created),
        (
            Request("GET", f"{origin}/orders/{order}", (*cookie, ("Referer", f"{origin}/orders"))),
            Response(200, "", (JSON, ("ETag", f'"{item}"')), Body(b"{}")),
        ),
        (Request("GET", f"{origin}/items/{item}"), Response(404, "", (JSON,), Body(b"{}"))),
        (Request("PUT", f"{origin}/pay", (JSON,), Body(json.dumps(paid).encode())), Response(204)),
        (Request("PUT", f"{origin}/pic", (), Body(b"\x89PNG\0")), Response(200)),
    ]
    return [Entry(request, response, Times(float(n))) for n, (request, response) in enumerate(exchanges)]


def old_recording() -> list[Entry]:
    """Return the visit as it is in a capture, without secrets."""
    redactor = Redactor(parse_rules(()), Placeholders(b"k" * 32))
    entries = recording("Wz-zbpjD-jMLZkbxrVhyYQ", "Xa1bpjDjMLZkbx/rVhyYQ==", 100234)
    return [redactor.entry(entry) for entry in entries]


def live_recording(origin: Origin) -> list[Entry]:
    """Return the same visit to a live build, which returns other values, and let an origin answer so."""
    entries = recording("9f_8sdDq-4kLm3XbT7aVwZ", "Qq1bp+jDjMLZkbx/rVhyZ==", 700567, origin.url)
    answers = iter(entries)

    def answer(_: Received) -> Answer:
        response = next(answers).response
        return Answer(response.status, list(response.headers), response.body.content)

    origin.route("/", answer)
    return entries


def assert_sent(received: list[Received], entries: list[Entry]) -> None:
    """Assert that an origin received these requests."""
    assert [(got.method, got.target, got.body) for got in received] == [
        (entry.request.method, _target(entry), entry.request.body.content) for entry in entries
    ]
    for name in ("cookie", "referer"):
        assert [got.get(name) for got in received] == [
            next((value for field, value in entry.request.headers if field.lower() == name), None) for entry in entries
        ]


def _target(entry: Entry) -> str:
    return "/" + entry.request.url.partition("://")[2].partition("/")[2]
