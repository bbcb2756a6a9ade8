"""What is proved to have no secrets is what a search changes nothing in; common contents of APIs are among it."""

import json
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy_policies.capture.secrets import redact_text as texts
from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.harmless import is_harmless
from proxy_policies.capture.secrets.redact_message import MessageRedactor
from proxy_policies.capture.secrets.rules import RedactionRules

ITEM = {"id": 6001, "name": "order 6001", "price": 857.14, "open": True, "href": "https://shop.test/api/orders/6001"}
PIECES = [
    *("id", "name", "order", "sess", "sid", "card", "number", "password", "Kennwort", "apiKey", "s", "i", "d", "Zoë"),
    *(
        "sessions",
        "recovery_codes",
        "\u043f\u0430\u0440\u043e\u043b\u044c",
        "\u5bc6\u7801",
        "\\u5bc6\\u7801",
        "\uff50\uff57\uff44",
    ),
    *("hunter2x9", "aB3kd93kDkq02kd9", "ghp_", "0123456789abcdefABCDEF0123456789abcdef", "eyJhbGciOiJIUzI1NiJ9"),
    *("12", "0000", "/orders/60017/", "2026-11-30T10:00:00Z", "a0b1c2d3-e4f5", "\\u20ac", "\\ud83d\\ude00"),
    *("cGFzc3dvcmQ9aHVudGVyMg", "70617373776f72643d68756e74657232", "pass\\u0077ord", "p%61ssword", "&#112;assword"),
    *(
        "login",
        "LOGIN",
        "mysql",
        " -p",
        "curl -u bob:",
        "$6$salt$",
        ":5432:a:b:",
        "{SHA}",
        "Private-Lines: 1\n",
        "/hooks/",
        "jdbc:oracle:thin:bob/",
        "params",
        "method",
        "reset/",
        "Basic ",
    ),
    *(
        "https://bob:hunter2x9@shop.test/",
        "=3D",
        "=\r\n",
        "<input value=",
        "<b a=1>",
        "</b>",
        "\n",
        "\\n",
        "\\",
        "/",
        "\\/",
    ),
    *(
        "_",
        "-",
        " ",
        ": ",
        "=",
        "&",
        "?",
        ";",
        ",",
        ".",
        '"',
        '\\"',
        "'",
        "{",
        "}",
        "[",
        "]",
        '{"',
        '": "',
        '", "',
        '"}',
    ),
]
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=14).map("".join)
MEDIA_TYPES = ["application/json", "text/html", "text/plain", "text/event-stream", "application/x-www-form-urlencoded"]
SEARCHES = {
    is_response: MessageRedactor(Decider(RedactionRules(), lambda secret, rule: "secret_0123456789abcdef", is_response))
    for is_response in (False, True)
}


@given(TEXTS, st.booleans(), st.sampled_from(MEDIA_TYPES), st.booleans())
@example('{"a": "\\cGFzc3dvcmQ9aHVudGVyMg"}', True, "application/json", False)
@example('{"sess_id": "aB3kd93kDkq02kd9"}', True, "application/json", False)
def test_nothing_is_found_in_what_is_harmless(text: str, is_response: bool, mime: str, is_nested: bool) -> None:
    content = (json.dumps({"text": text}, ensure_ascii=False) if is_nested else text).encode("utf-8", "replace")
    if is_harmless(content, is_response, is_markup="html" in mime):
        assert SEARCHES[is_response]._content(mime, content) == content


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.booleans())
@example("token=aB3kd93kDkq02kd9", True)
def test_nothing_is_found_in_a_harmless_url(text: str, is_path: bool) -> None:
    url = f"http://shop.test/{text}" if is_path else f"http://shop.test/a?{text}"
    if url.isascii() and is_harmless(url.encode(), is_response=False, is_markup=False):
        search = SEARCHES[False]
        assert search._redact_shapes(texts.in_url(url, search._with_secret_variables(url))) == url


@given(st.lists(st.tuples(st.sampled_from(["ETag", "Location", "X-Debug"]), TEXTS), max_size=4), st.booleans())
@example([("X-Debug", "aGVsbG8gd29ybGQgcGFzc3dvcmQ9"), ("ETag", "aHVudGVyMg")], True)
@example([("X-Debug", "mysql"), ("ETag", "-p hunter2x9")], True)
def test_nothing_is_found_in_harmless_fields(lines: list[tuple[str, str]], is_response: bool) -> None:
    fields = tuple((name, value.encode("utf-8", "replace").decode("latin-1")) for name, value in lines)
    with patch.object(SEARCHES[is_response], "_has_default_names", new=False):  # so that nothing is proved
        searched = tuple((name, SEARCHES[is_response]._field(name, value)) for name, value in fields)
    assert SEARCHES[is_response].headers(fields) == searched


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"items": [ITEM | {"id": number} for number in range(50)], "total": 50}),
        json.dumps(
            {"author": "Zoë", "keyboard": "de", "shipping": "in a box", "design": 'a "b"\n'}, ensure_ascii=False
        ),
        '{"text": "it\\u2019s \\ud83d\\ude00"}',
        '{"created": "2026-11-28T10:00:00Z", "login": "octocat", "zip": "53111"}',
        "id,city\n1,Bonn\n2,Berlin\n",
        "<!DOCTYPE html><html><body class=home><h1>Orders</h1></body></html>",
    ],
)
def test_contents_of_apis_are_harmless(text: str) -> None:
    assert is_harmless(text.encode(), is_response=True, is_markup=text.startswith("<"))


@pytest.mark.parametrize(
    "text",
    [
        *("password=x", '{"newPassword": "x"}', "Kennwort: x", "contraseña: x", "contrase\\u00f1a: x", "API-KEY: x"),
        *(
            "sessions: x",
            "Пароль: x",
            "\\u5bc6\\u7801: x",
            "\\u043f\\u0430\\u0440\\u043e\\u043b\\u044c: x",
            "license_keys: x",
        ),
        *(
            "sess_id=x",
            "card number: x",
            "s.i.d=x",
            "a\\npassword: x",
            "a\\nsess_id: x",
            "pass\\u0077ord",
            "p%61ssword",
            "&#112;assword",
        ),
        *(
            "ghp_" + "a1B2" * 9,
            "https://bob:hunter2@shop.test/",
            "mysql -p hunter2",
            '{"method": "a", "params": ["b"]}',
        ),
        *(
            "/reset/aB3kd93kDkq02",
            "bob:$2y$05$c4WoMPo3SXsafkva",
            "db.test:5432:shop:bob:aB3kd93kDkq02",
            "eyJhbGciOiJIUzI1NiJ9.e30.x",
            "cGFzc3dvcmQ9aHVudGVyMg",
            '["login", "bob", "hunter2"]',
        ),
        *("<input value=aB3kd93kDkq02", "p\0a\0s\0s\0", "x" * 99, "\u017fid=x", "pa\xadssword=1, pin"),
    ],
)
def test_what_may_be_a_secret_is_searched(text: str) -> None:
    assert not is_harmless(text.encode(), is_response=False, is_markup=True)


def test_a_secret_that_a_frame_cuts_out_of_a_text_is_found() -> None:
    """The first five bytes are a flag and a length, and what follows is base64."""
    content = b"AAAAmCiRwYXNzd29yZDogWnE3LWh1bnRlcjItUTl4Wi00NzExLWFiY2Q="
    assert b"WnE3LWh1bnRlcjItUTl4" not in SEARCHES[True].content(content, "application/grpc")


def test_few_words_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy_policies.capture.secrets.harmless.MAX_TOKENS", 10)
    for number in range(100):
        word = "x" + "".join(chr(ord("q") + int(digit)) for digit in str(number))
        assert is_harmless(f"{word} harmless id".encode(), is_response=True, is_markup=False)
        assert not is_harmless(f"{word} password".encode(), is_response=True, is_markup=False)
