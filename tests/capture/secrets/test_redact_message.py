"""The secrets of one message, each part looked through as what it is."""

import gzip

import pytest

from proxy_policies.capture.model import Body, Headers
from proxy_policies.capture.secrets.decide import Decider
from proxy_policies.capture.secrets.redact_message import MessageRedactor, is_binary, unsearched
from proxy_policies.capture.secrets.rules import parse_rules

S = "Wz-zbpjD-jMLZkbxrVhyYQ"


def redactor(*rules: str) -> MessageRedactor:
    return MessageRedactor(Decider(parse_rules(rules), lambda *_: "~", is_answer=False))


FIELDS = {
    "scheme stays": ("Authorization", "Bearer S", "Bearer ~"),
    "no scheme": ("Authorization", "S", "~"),
    "cookies": ("Cookie", "theme=dark; sid=S", "theme=dark; sid=~"),
    "attributes": ("Set-Cookie", "sid=S; Path=/; HttpOnly", "sid=~; Path=/; HttpOnly"),
    "by name": ("X-Api-Token", "S", "~"),
    "url": ("Location", "/next?token=S&page=2", "/next?token=~&page=2"),
    "by shape": ("X-Note", "see ghp_0123456789abcdefghijklmnopqrstuvwxyz.", "see ~."),
    "policy": ("WWW-Authenticate", 'Basic realm="token"', 'Basic realm="token"'),
}


@pytest.mark.parametrize(("name", "before", "after"), FIELDS.values(), ids=FIELDS)
def test_a_field_is_looked_through_as_what_it_is(name: str, before: str, after: str) -> None:
    assert redactor().headers(((name, before.replace("S", S)),)) == ((name, after),)


def test_the_users_fields_are_secrets_and_kept_names_none() -> None:
    assert redactor("header:x-customer").headers((("X-Customer", "5"),)) == (("X-Customer", "~"),)
    assert redactor("keep:x-api-token").headers((("X-Api-Token", S),)) == (("X-Api-Token", S),)


CONTENT = {
    "json": ("application/json", '{"token": "S"}', '{"token": "~"}'),
    "form": ("application/x-www-form-urlencoded", "a=1&token=S", "a=1&token=~"),
    "form without a type": ("", "a=1&token=S", "a=1&token=~"),
    "html": ("text/html", '<input name="csrf" value="S">', '<input name="csrf" value="~">'),
    "script": ("text/javascript", 'var token = "S", name = "token";', 'var token = "~", name = "token";'),
    "text": ("text/plain", "token=S", "token=~"),
    "picture": ("image/png", "token=S", "token=S"),
}


@pytest.mark.parametrize(("mime", "before", "after"), CONTENT.values(), ids=CONTENT)
def test_content_is_looked_through_by_its_type(mime: str, before: str, after: str) -> None:
    assert redactor().content(before.replace("S", S).encode(), mime) == after.replace("S", S).encode()


def test_octets_of_no_charset_stay() -> None:
    assert redactor().content(b'\xff{"token": "%s"}' % S.encode(), "application/json") == b'\xff{"token": "~"}'


def test_a_path_of_the_users_selects_any_value() -> None:
    assert redactor("json:$.user.mail").text('{"user": {"mail": {"a": 1}}}') == '{"user": {"mail": "~"}}'


def test_a_document_keeps_its_form() -> None:
    before = {"token": S, "list": [{"password": "x"}, 5, None], "text": "a"}
    assert redactor().document(before) == {"token": "~", "list": [{"password": "~"}, 5, None], "text": "a"}


JSON = (("Content-Type", "application/json"),)
PACKED = gzip.compress(b"{}")
WHY: dict[str, tuple[Body, Headers, str]] = {
    "nothing": (Body(), (), ""),
    "text": (Body(b"{}"), JSON, ""),
    "undone": (Body(b"{}", wire=PACKED), (*JSON, ("Content-Encoding", "gzip")), ""),
    "cut": (Body(b"{", dropped=1), JSON, "cut"),
    "mislabelled": (Body(b"{}", wire=b"{}"), (*JSON, ("Content-Encoding", "gzip")), "coding"),
    "packed": (Body(PACKED), (("Content-Encoding", "x-odd"),), "coding"),
    "binary": (Body(b"a\0b"), (), "binary"),
    "picture": (Body(b"abc"), (("Content-Type", "image/png"),), "binary"),
    "parts": (Body(b"--b\r\n\r\n\0\r\n--b--"), (("Content-Type", "multipart/form-data; boundary=b"),), ""),
}


@pytest.mark.parametrize(("body", "fields", "why"), WHY.values(), ids=WHY)
def test_it_is_said_why_a_body_cannot_be_searched(body: Body, fields: Headers, why: str) -> None:
    assert unsearched(body, fields) == why


def test_a_drawing_in_xml_is_text() -> None:
    assert not is_binary(b"<svg>", "image/svg+xml")
