"""A capture that is opened to be played."""

import json
from pathlib import Path

from proxy_policies.capture.model import Body, Entry, Request, Response, Times, WebSocketMessage
from proxy_policies.capture.replay.cassette import Match, ReplayMode
from proxy_policies.capture.replay.matching import Matching, request_key
from proxy_policies.capture.replay.replay_session import cannot_replay, load
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules

SECRET = "Zq7-hunter2-Q9xZ"


def test_a_browsers_har_answers_requests_that_carry_secrets(tmp_path: Path) -> None:
    form_type = "application/x-www-form-urlencoded"
    form = f"user=joe&password={SECRET}"
    post = {"mimeType": form_type, "text": form}
    requests = [
        {
            "method": "POST",
            "url": "http://a.test/login",
            "headers": [{"name": "content-type", "value": form_type}],
            "postData": post,
        },
        {"method": "GET", "url": f"http://a.test/{SECRET}?token={SECRET}", "headers": []},
    ]
    entries = [
        {"startedDateTime": "2026-11-28T10:00:00Z", "time": 1, "request": request, "response": {"status": 200}}
        for request in requests
    ]
    path = tmp_path / "chrome.har"
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}))
    redactor = Redactor(parse_rules(()), Placeholders(b"k" * 32))
    session = load(path, ReplayMode.ONCE, redactor, Matching())
    fields = (("Content-Type", form_type),)
    live = [
        Request("POST", "http://a.test/login", fields, Body(form.encode())),
        Request("GET", f"http://a.test/{SECRET}?token={SECRET}"),
    ]
    found = [session.cassette.match(request_key(redactor.request_swept(request), Matching())) for request in live]
    assert found == [Match(0), Match(1)]


def test_a_conversation_with_a_message_left_out_cannot_be_replayed() -> None:
    messages = (WebSocketMessage(False, False, b"\xff", 1.0), WebSocketMessage(True, False, b"", 2.0, dropped=9))
    response = Response(101, "", (("Upgrade", "websocket"),))
    entry = Entry(Request("GET", "http://a.test/"), response, Times(1.0), messages=messages)
    assert cannot_replay(entry) == "not all of its messages were recorded"
    assert not cannot_replay(Entry(entry.request, response, Times(1.0), messages=messages[:1]))
