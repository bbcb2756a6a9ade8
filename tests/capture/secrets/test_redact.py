"""Redaction: what was a secret is gone from every place, and everything else is as it was."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.har import writer
from proxy_policies.capture.model import Body, Entry, Request, Response, Times, WebSocketMessage
from proxy_policies.capture.secrets.keyfile import load_key
from proxy_policies.capture.secrets.names import is_secret_name
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules

KEY = Placeholders(b"k" * 32)
SECRET = "hunter2-Q9xZ"
HOLDER = KEY.of(SECRET)


def redactor(*specs: str) -> Redactor:
    return Redactor(parse_rules(specs), KEY)


SECRET_NAMES = [
    "Authorization",
    "Cookie",
    "access_token",
    "accessToken",
    "X-Api-Key",
    "API_KEY",
    "PHPSESSID",
    "csrf-token",
]
PLAIN_NAMES = ["author", "keyboard", "Content-Type", "monkey", "key", "assessment", "max", "page", "tokenizer"]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_name_that_carries_secrets_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_a_name_that_only_looks_alike_is_left(name: str) -> None:
    assert not is_secret_name(name)


@dataclass(frozen=True)
class Case:
    id: str
    mime: str
    before: str
    after: str
    rules: tuple[str, ...] = ()


TEXTS = [
    Case("json", "application/json", '{"a":1, "token" : "S", "b":[ 2]}', '{"a":1, "token" : "H", "b":[ 2]}'),
    Case("json list", "application/json", '{"tokens": ["S", "S"]}', '{"tokens": ["H", "H"]}'),
    Case("json number", "application/json", '{"max_tokens": 5, "pin": 1234}', '{"max_tokens": 5, "pin": "P"}'),
    Case("ndjson", "application/x-ndjson", '{"password":"S"}\n{"x":1}\n', '{"password":"H"}\n{"x":1}\n'),
    Case("sse", "text/event-stream", 'data: {"session":"S"}\n\n', 'data: {"session":"H"}\n\n'),
    Case("form", "application/x-www-form-urlencoded", "a=b%20c&password=S&d", "a=b%20c&password=H&d"),
    Case("html", "text/html", '<input name="csrf" value="S"> S', '<input name="csrf" value="H"> H'),
    Case("xml", "text/xml", "<a><password>S</password><b>c</b></a>", "<a><password>H</password><b>c</b></a>"),
    Case("link", "text/html", '<a href="/x?a=1&token=S#y">z</a>', '<a href="/x?a=1&token=H#y">z</a>'),
    Case("rule json", "application/json", '{"user": {"mail": "S"}}', '{"user": {"mail": "H"}}', ("json:$.user.mail",)),
    Case("rule regex", "text/plain", "id S.", "id H.", ("regex:hunter2-\\w+",)),
    Case("rule name", "application/json", '{"nick": "S"}', '{"nick": "H"}', ("name:nick",)),
    Case("rule keep", "application/json", '{"session": "S"}', '{"session": "S"}', ("keep:session",)),
    Case("multipart", "multipart/form-data; boundary=b",
         '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nS\r\n--b--',
         '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nH\r\n--b--'),
]  # fmt: skip


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: case.id)
def test_a_secret_in_a_text_becomes_its_placeholder(case: Case) -> None:
    before, after = (
        case.before.replace("S", SECRET),
        case.after.replace("H", HOLDER).replace("P", KEY.of("1234")).replace("S", SECRET),
    )
    once = redactor(*case.rules).text(before, case.mime)
    assert once == after
    assert redactor(*case.rules).text(once, case.mime) == once


def everywhere(secret: str) -> Entry:
    request = Request(
        "POST",
        f"http://user:{secret}@shop.test/{secret}?token={secret}&a=b#access_token={secret}",
        (
            ("Authorization", f"Bearer {secret}"),
            ("Cookie", f"sid={secret}; theme=dark"),
            ("X-Api-Key", secret),
            ("Referer", f"http://shop.test/?session={secret}"),
        ),
        Body(f'{{"password": "{secret}"}}'.encode(), wire=secret.encode()),
        target=f"/{secret}?token={secret}",
    )
    response = Response(
        302,
        secret,
        (("Set-Cookie", f"sid={secret}; Path=/"), ("Location", f"/?token={secret}")),
        Body(b"\xff" + secret.encode()),
    )
    return Entry(
        request, response, Times(1.7e9), origin=response, error=f"no {secret}", comment=secret,
        messages=(
            WebSocketMessage(True, True, f"hello {secret}".encode(), 1.0),
            WebSocketMessage(False, False, b"\xff" + secret.encode(), 1.0),
        ),
        trace=({"why": secret},), connection_info={"client": {"sni": secret}}, extra={"_x": [secret]},
    )  # fmt: skip


def test_no_secret_reaches_the_disk(tmp_path: Path) -> None:
    with writer.create(tmp_path / "a.har", writer.new_log(KEY.key_id)) as out:
        out.write(redactor().entry(everywhere(SECRET)))
    data = (tmp_path / "a.har").read_bytes()
    assert SECRET.encode() not in data
    assert base64.b64encode(SECRET.encode())[4:12] not in data
    assert HOLDER.encode() in data
    assert b"dark" not in data


def test_structure_stays_around_the_placeholder() -> None:
    request = redactor().entry(everywhere(SECRET)).request
    assert request.url == f"http://user:{HOLDER}@shop.test/{HOLDER}?token={HOLDER}&a=b#access_token={HOLDER}"
    assert request.headers[0] == ("Authorization", f"Bearer {HOLDER}")
    assert request.headers[1][1].startswith(f"sid={HOLDER}; theme=secret_")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=8, max_size=20))
def test_redacting_again_changes_nothing(secret: str) -> None:
    text = json.dumps({"password": secret, "a": [1, {"b": "c"}]})
    once = redactor().text(text, "application/json")
    assert PLACEHOLDER.search(once)
    assert redactor().text(once, "application/json") == once


def test_basic_credentials_betray_their_password_elsewhere() -> None:
    basic = base64.b64encode(f"joe:{SECRET}".encode()).decode()
    first = Entry(Request("GET", "http://a.test/", (("Authorization", f"Basic {basic}"),)), Response(200), Times(1.0))
    later = Entry(Request("GET", f"http://a.test/{SECRET}"), Response(200), Times(1.0))
    same = redactor()
    assert basic not in str(same.entry(first))
    assert SECRET not in str(same.entry(later))


def test_a_plain_word_as_password_is_not_swept_everywhere() -> None:
    assert redactor().text('{"password": "password", "x": "password"}') == (
        f'{{"password": "{KEY.of("password")}", "x": "password"}}'
    )


BAD_RULES = {
    "kind": ("heder:X", "is not a valid redaction; write header:…"),
    "value": ("header:", "is not a valid redaction"),
    "path": ("json:$[", "invalid JSONPath"),
    "regex": ("regex:(", "is not a valid regular expression"),
    "matches all": ("regex:a*", "every text would be a secret"),
}


@pytest.mark.parametrize(("spec", "text"), BAD_RULES.values(), ids=BAD_RULES)
def test_a_wrong_rule_is_refused(spec: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_rules([spec])


def test_the_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    key = load_key(tmp_path / "conf")
    assert load_key(tmp_path / "conf") == key
    assert len(key) == 32
    assert (tmp_path / "conf" / "capture-key").stat().st_mode & 0o077 == 0
    assert len(list((tmp_path / "conf").iterdir())) == 1


@pytest.mark.parametrize("depth", [150, 5_000, 100_000])
def test_a_document_too_deep_to_be_looked_through_is_secret_whole(depth: int) -> None:
    text = "[" * depth + '{"name": "Jane Doe"}' + "]" * depth
    assert "Jane" not in redactor("json:$..name").text(text, "application/json")
