"""Secrets inside the frames of streams, each frame looked through as a body is."""

import json

from proxy_policies.capture.bodies.parsed_body import parse
from proxy_policies.capture.check.secret_values import SecretValues
from proxy_policies.capture.model import Body, Entry, Request, Response, Times
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules

KEY = b"k" * 32
SECRET = "Zq7-hunter2-Q9xZ-4711-abcd"


def redacted(content: bytes, content_type: str, *rules: str, asked: bytes = b"") -> Entry:
    headers = (("Content-Type", content_type),)
    request = Request("POST", "http://a.test/", headers, Body(asked))
    return Redactor(parse_rules(rules), Placeholders(KEY)).entry(
        Entry(request, Response(200, "", headers, Body(content)), Times(0))
    )


def test_members_of_json_that_stands_in_several_data_lines() -> None:
    content = b'id: 1\ndata: {"password":\ndata: "Zq7-hunter2-Q9xZ-4711-abcd", "n": 1}\n\ndata: [DONE]\n\n'
    body = redacted(content, "text/event-stream").response.body.content
    assert b"hunter2" not in body
    assert body.startswith(b"id: 1\ndata: ")
    assert body.endswith(b', "n": 1}\n\ndata: [DONE]\n\n')


def test_a_rule_for_a_path_is_for_each_frame() -> None:
    lines = b'{"mine": "one of mine", "n": 1}\n{"mine": "two of mine"}\n{"other": 1}\n'
    body = redacted(lines, "application/x-ndjson", "json:$.mine").response.body.content
    documents = [json.loads(line) for line in body.splitlines()]
    assert [set(document) for document in documents] == [{"mine", "n"}, {"mine"}, {"other"}]
    assert b"of mine" not in body
    assert body.endswith(b'{"other": 1}\n'), "what holds nothing is as it was"


def message(text: str) -> bytes:
    data = b"\x0a" + bytes([len(text)]) + text.encode()
    return b"\0" + len(data).to_bytes(4) + data


def test_grpc_messages_are_still_messages() -> None:
    said = message("hello") + message("password: Zq7-hunter2-Q9xZ-4711-abcd")
    entry = redacted(said, "application/grpc", asked=message("sk-proj-Zq7hunter2Q9xZabcdefghijklmnop"))
    document = parse(entry.response.body, entry.response.headers).value
    assert document["messages"][0] == {"1": "hello"}
    assert document["messages"][1]["1"].startswith("password: secret_")
    asked = parse(entry.request.body, entry.request.headers).value
    assert asked["messages"][0]["1"].startswith("secret_")
    values = SecretValues({"KEY": "sk-proj-Zq7hunter2Q9xZabcdefghijklmnop"}, Placeholders(KEY))
    filled = values.substitute(entry.request)
    assert filled.body.content == message("sk-proj-Zq7hunter2Q9xZabcdefghijklmnop"), "and so they are with its value"


def test_what_is_known_is_found_in_messages_too() -> None:
    headers = (("Content-Type", "application/grpc"), ("Authorization", f"Bearer {SECRET}"))
    request = Request("POST", "https://a.test/", headers, Body(message(f"of {SECRET} x")))
    entry = Redactor(parse_rules(()), Placeholders(KEY)).entry(Entry(request, Response(0), Times(0)))
    (said,) = parse(entry.request.body, entry.request.headers).value["messages"]
    assert said["1"].startswith("of secret_")
    assert said["1"].endswith(" x")
