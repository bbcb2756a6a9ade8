"""Redaction: what was a secret is gone from every place, and everything else is as it was."""

import base64
import html
import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.bodies.content_coding import decode_bodies
from proxy_policies.capture.har import writer
from proxy_policies.capture.model import Body, Entry, Request, Response, Times, WebSocketMessage
from proxy_policies.capture.replay.matching import Matching, request_key
from proxy_policies.capture.secrets.keyfile import load_key
from proxy_policies.capture.secrets.known_secrets import MAX_SECRETS
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, Placeholders, as_number
from proxy_policies.capture.secrets.redact import Redactor, parse_rules
from proxy_policies.capture.secrets.values import is_plain

KEY = Placeholders(b"k" * 32)
SECRET = "hunter2-Q9xZ"
HOLDER = KEY.of(SECRET)


def redactor(*specs: str) -> Redactor:
    return Redactor(parse_rules(specs), KEY)


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
        case.after.replace("H", HOLDER).replace("P", as_number(KEY.of("1234"))).replace("S", SECRET),
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
    assert b"dark" in data


def test_structure_stays_around_the_placeholder() -> None:
    request = redactor().entry(everywhere(SECRET)).request
    assert request.url == f"http://user:{HOLDER}@shop.test/{HOLDER}?token={HOLDER}&a=b#access_token={HOLDER}"
    assert request.headers[0] == ("Authorization", f"Bearer {HOLDER}")
    assert request.headers[1][1] == f"sid={HOLDER}; theme=dark"


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=8, max_size=20).filter(
        lambda text: not is_plain(text)
    )
)
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
    "two rules": ("query:ref,header:x-customer", "must have a single name; repeat the option for each"),
    "two names": ("name:nick,alias", "must have a single name"),
    "two fields": ("header:x-customer,x-user", "must have a single name"),
    "a field's line": ("header:X-Customer: 4711", "must have a single name"),
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


RANDOM = "f3a9Qz7Lk2Vb8Xw4"
GOES = {  # what is written, with S for the secret
    "object": ("application/json", '{"credentials": {"value": "S", "user": "joe"}}'),
    "objects": ("application/json", '{"tokens": [{"value": "S"}, {"value": "S"}]}'),
    "mixed list": ("application/json", '{"tokens":[1,"S"]}'),
    "nested list": ("application/json", '{"secrets":[["S"],null]}'),
    "value first": ("application/json", '{"value":"S","name":"x-api-key"}'),
    "next.js": ("text/html", '<script>self.__next_f.push([1,"a:{\\"token\\":\\"S\\"}"])</script>'),
    "graphql": ("application/json", '{"query":"mutation { login(password: \\"S\\") { id } }"}'),
    "graphql alone": ("application/graphql", 'mutation { login(password: "S") { id } }'),
    "script": ("text/html", "<script>var csrfToken = 'S';</script>"),
    "payload": ("application/x-www-form-urlencoded", "payload=%7B%22token%22%3A%22S%22%7D"),
    "plain text": ("text/plain", "user=joe password=S"),
    "error page": ("text/html", "<pre>GET / HTTP/1.1\nAuthorization: Bearer S\nAccept: */*</pre>"),
    "curl": ("text/plain", "curl -H 'Authorization: Bearer S' http://a.test/"),
    "quoted cookie": ("text/plain", "> Cookie: sid=S; theme=dark"),
    "wsse": ("text/xml", '<wsse:Password Type="http://x#PasswordText">S</wsse:Password>'),
    "cdata": ("text/xml", "<password><![CDATA[S]]></password>"),
    "plist": ("text/xml", "<dict><key>password</key><string>S</string></dict>"),
    "config": ("text/xml", '<add key="ApiToken" value="S"/>'),
    "bare attribute": ("text/html", "<input type=hidden name=csrf_token value=S>"),
    "single quotes": ("text/html", "<meta content='S' name='csrf-token'>"),
    "userinfo": ("text/plain", "git clone https://S@git.test/x.git"),
    "token and basic": ("text/plain", "see https://S:x-oauth-basic@git.test/x.git"),
    "link in json": ("application/json", '{"next": "http://a.test/?access_token=S&a=1"}'),
    "nested URL": ("text/html", '<a href="/login?next=%2Fx%3Ftoken%3DS%26a%3D1">x</a>'),
    "nested twice": ("text/html", '<a href="/login?next=%252Fx%253Ftoken%253DS">x</a>'),
    "reset link": ("text/html", '<a href="http://a.test/reset-password/S?x=1">x</a>'),
    "array of names": ("application/json", '{"headers":[{"name":"X-Api-Key","value":"S"}]}'),
    "multipart lf": ("multipart/form-data; boundary=b",
        '--b\nContent-Disposition: form-data; name=password\n\nS\n--b--'),
    "multipart json": ("multipart/form-data; boundary=b",
        '--b\r\nContent-Disposition: form-data; name="meta"; filename="m.json"\r\n\r\n{"token":"S"}\r\n--b--'),
    "multipart charset": ("multipart/form-data",
        '--zz\r\nContent-Disposition: form-data; name="token"; charset=utf-8\r\n\r\nS\r\n--zz--'),
}  # fmt: skip


@pytest.mark.parametrize(("mime", "text"), GOES.values(), ids=GOES)
def test_a_secret_goes_wherever_it_stands(mime: str, text: str) -> None:
    assert redactor().text(text.replace("S", RANDOM), mime) == text.replace("S", KEY.of(RANDOM))


STAYS = {
    "openapi": '{"password": {"type": "string", "format": "password", "minLength": 8}, "pin": {"type": "integer"}}',
    "labels": '{"password": "Password", "pin": "PIN", "session": "Your session has ended.", "token": "Jeton"}',
    "errors": '{"errors": {"password": "is too short", "token": "expired", "session": "required"}}',
    "usage": '{"usage": {"total_tokens": 1234567, "tokens": 1234567, "max_tokens": 5}}',
    "oauth": '{"token_type": "bearer", "expires_in": 3600, "scope": "a b", "token_endpoint": "https://a.test/t"}',
    "states": '{"auth": "basic", "session": null, "token": true, "secret": false, "signature": "none", "pin": 0}',
    "paging": '{"nextPageToken": "CAoQAA9fQ3x7", "continuation_token": "a8f3Qz7Lk2Vb8Xw4"}',
}


@pytest.mark.parametrize("text", STAYS.values(), ids=STAYS)
def test_what_is_no_secret_stays_in_an_answer(text: str) -> None:
    fields = (("Content-Type", "application/json"),)
    entry = Entry(Request("GET", "http://a.test/"), Response(200, "", fields, Body(text.encode())), Times(1.0))
    assert redactor().entry(entry) == entry


FIELDS_THAT_STAY = [
    ("Access-Control-Allow-Credentials", "true"),
    ("Access-Control-Allow-Headers", "authorization, x-csrf-token"),
    ("WWW-Authenticate", 'Basic realm="token"'),
    ("X-Session-Timeout", "1800"),
    ("X-Token-Ttl", "1"),
    ("Signature-Input", 'sig1=("@method");created=1618884473'),
    ("Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
    ("Set-Cookie", "lang=en-US; Path=/; Expires=Sat, 28 Nov 2026 10:00:00 GMT"),
    ("Set-Cookie", "session=deleted; Max-Age=0"),
    ("Set-Cookie", "return_to=http://127.0.0.1:24155/b2"),
    ("ETag", '"33a64df551425fcc55e4d42a148795d9f25f89d4"'),
]


@pytest.mark.parametrize("field", FIELDS_THAT_STAY, ids=lambda field: f"{field[0]}-{field[1][:8]}")
def test_a_field_that_only_sounds_secret_stays(field: tuple[str, str]) -> None:
    entry = Entry(Request("GET", "http://a.test/"), Response(200, "", (field,)), Times(1.0))
    assert redactor().entry(entry) == entry


FIELDS_THAT_GO = [
    "X-ApiToken",
    "x-sessiontoken",
    "DD-APPLICATION-KEY",
    "X-Functions-Key",
    "X-Master-Key",
    "DPoP",
    "X-Auth",
]


@pytest.mark.parametrize("name", FIELDS_THAT_GO)
def test_a_field_that_carries_a_secret_goes(name: str) -> None:
    entry = Entry(Request("GET", "http://a.test/", ((name, RANDOM),)), Response(200), Times(1.0))
    assert redactor().entry(entry).request.headers == ((name, KEY.of(RANDOM)),)


SPELLINGS = {
    "raw": "S",
    "utf-8": "päßwört-7Q9xZ",
    "slash": "aB3/xY7+zQ9w=kL",
}


@pytest.mark.parametrize("secret", SPELLINGS.values(), ids=SPELLINGS)
def test_a_known_secret_is_found_however_it_is_written(secret: str) -> None:
    secret = secret.replace("S", RANDOM)
    percent = quote(secret, safe="")
    texts = [secret, percent, re.sub("%..", lambda found: found[0].lower(), percent), json.dumps(secret)[1:-1]]
    texts += [secret.replace("/", "\\/"), html.escape(secret), base64.b64encode(f"joe:{secret}".encode()).decode()]
    echo = Body("\n".join(f"-- {text} --" for text in texts).encode())
    request = Request("GET", "http://a.test/", (("X-Api-Key", secret),), Body())
    entry = Entry(request, Response(200, "", (("Content-Type", "text/plain"),), echo), Times(1.0))
    done = redactor().entry(entry).response.body.content.decode()
    assert [text for text in texts if text in done] == []


def test_many_secrets_are_known_at_once() -> None:
    same = redactor()
    secrets = [f"{number:04d}-a1B2c3D4-{number}" for number in range(200)]
    for secret in secrets:
        same.entry(Entry(Request("GET", "http://a.test/", (("Cookie", f"sid={secret}"),)), Response(200), Times(1.0)))
    body = Body(" ".join(secrets).encode())
    done = same.entry(Entry(Request("GET", "http://a.test/"), Response(200, body=body), Times(1.0)))
    assert [secret for secret in secrets if secret in done.response.body.content.decode()] == []


def test_the_authority_of_a_url_is_never_swept() -> None:
    request = Request("GET", "http://a1b2c3d4e5f6a7b8.test/x", (("X-Api-Key", "a1b2c3d4e5f6a7b8"),))
    done = redactor().entry(Entry(request, Response(200), Times(1.0)))
    assert done.request.url == request.url


@pytest.mark.parametrize("cut", ["", "client"])
def test_a_secret_that_is_not_packed_as_its_field_says_goes_from_the_wire_too(cut: str) -> None:
    fields = (("Content-Encoding", "gzip"), ("Content-Type", "application/json"))
    response = Response(200, "OK", fields, Body(b'{"password": "%s"}' % SECRET.encode(), cut=cut))
    entry = decode_bodies(Entry(Request("GET", "http://a.test/"), response, Times(1.0)), 1 << 20)
    assert SECRET not in str(redactor().entry(entry).response.body)


UNSEARCHED = {
    "cut": (Body(b"abc", dropped=5, sha256="0" * 64), ()),
    "coding": (Body(b"abc"), (("Content-Encoding", "x-odd"),)),
    "binary": (Body(b"\x00abc"), ()),
}


@pytest.mark.parametrize(("body", "fields"), UNSEARCHED.values(), ids=UNSEARCHED)
def test_a_body_that_cannot_be_searched_is_named_and_left_out_when_strict(
    request: pytest.FixtureRequest, body: Body, fields: tuple[tuple[str, str], ...]
) -> None:
    why = request.node.callspec.id
    entry = Entry(Request("GET", "http://a.test/"), Response(200, "", fields, body), Times(1.0))
    done = redactor().entry(entry)
    assert (done.extra["_unsearched"], done.response.body) == ({"response": why}, body)
    left = Redactor(parse_rules(()), KEY, strict=True).entry(entry)
    assert (left.response.body.content, left.response.body.dropped) == (b"", len(body.content) + body.dropped)
    assert left.extra["_unsearched"] == {"response": why}


def test_only_the_binary_parts_of_an_upload_are_left_out_when_strict() -> None:
    def upload(picture: bytes, boundary: str, password: str = SECRET) -> Request:
        parts = [
            b'Content-Disposition: form-data; name="n"\r\n\r\n1',
            b'Content-Disposition: form-data; name="password"\r\n\r\n' + password.encode(),
            b'Content-Disposition: form-data; name="f"\r\nContent-Type: image/png\r\n\r\n' + picture,
            b'Content-Disposition: form-data; name="g"\r\n\r\n\x01' + picture,
            b"\r\n\x02" + picture,
            b'Content-Disposition: form-data; name="h"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
            + base64.b64encode(b"\0" + picture),
        ]
        delimiter = b"--" + boundary.encode()
        body = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts) + delimiter + b"--\r\n"
        fields = (("Content-Type", f"multipart/form-data; boundary={boundary}"),)
        return Request("POST", "http://a.test/", fields, Body(body))

    strict = Redactor(parse_rules(()), KEY, strict=True)
    for picture in (b"\x89PNG\0\xff" * 40, b"PNGDATA"):
        kept = strict.entry(Entry(upload(picture, "b"), Response(200), Times(1.0)))
        assert kept.extra["_unsearched"] == {"request": "binary"}
        assert picture not in kept.request.body.content
        assert base64.b64encode(b"\0" + picture) not in kept.request.body.content
        assert HOLDER.encode() in kept.request.body.content
        assert kept.request.body.dropped
        assert strict.entry(kept).request == kept.request
        live = [redactor().request(upload(*sent)) for sent in ((picture, "c"), (b"\0other", "c"), (picture, "c", "no"))]
        keys = [request_key(request, Matching()) for request in (kept.request, *live)]
        assert [key == keys[0] for key in keys[1:]] == [True, False, False]


def test_a_message_that_cannot_be_searched_is_named_and_left_out_when_strict() -> None:
    contents = [(True, b"hello \xff"), (False, b'{"a": 1}'), (False, b"\x81\xa8password\xb0Zq7hunter2Q9xZab")]
    messages = tuple(WebSocketMessage(True, is_text, data, 1.0) for is_text, data in contents)
    entry = Entry(Request("GET", "http://a.test/"), Response(101), Times(1.0), messages=messages)
    done = redactor().entry(entry)
    assert (done.extra["_unsearched"], done.messages) == ({"messages": "binary"}, messages)
    left = Redactor(parse_rules(()), KEY, strict=True).entry(entry)
    assert left.messages == (*messages[:2], WebSocketMessage(True, False, b"", 1.0, dropped=27))
    again = Redactor(parse_rules(()), KEY, strict=True).entry(left)
    assert (again.messages, again.extra["_unsearched"]) == (left.messages, {"messages": "binary"})


@pytest.mark.parametrize("mime", ["application/json", "image/png"])
def test_what_the_origin_sent_is_redacted_as_what_it_is(mime: str) -> None:
    body = Body(b'{"password": "hunter2"}')
    sent = Response(200, "OK", (("Content-Type", mime),), body)
    origin = Response(200, "OK", (("Content-Type", "application/json"), ("X-Api-Key", "Wz-zbpjD-jMLZkbxrVhyYQ")), body)
    redactor = Redactor(parse_rules([]), Placeholders(b"k" * 32))
    found = redactor.entry(Entry(Request("GET", "http://a.test/"), sent, Times(1.0), origin=origin)).origin
    assert found is not None
    assert b"hunter2" not in found.body.content
    assert "Wz-" not in str(found.headers)


def test_only_as_many_entries_are_read_for_secrets_as_can_be_remembered() -> None:
    def entry(number: int, text: str = "") -> Entry:
        fields = (("Authorization", f"Bearer {number:04d}-a1B2c3D4"),)
        return Entry(Request("POST", "http://a.test/", fields, Body(text.encode())), Response(200), Times(1.0))

    newest_first = iter([entry(number) for number in range(2 * MAX_SECRETS)])
    learned = redactor()
    learned.learn(newest_first)
    assert len(list(newest_first)) == MAX_SECRETS
    done = learned.entry(entry(1, f"{MAX_SECRETS - 1:04d}-a1B2c3D4 {MAX_SECRETS:04d}-a1B2c3D4"))
    assert re.fullmatch(f"secret_\\w+ {MAX_SECRETS:04d}-a1B2c3D4", done.request.body.content.decode())


def test_a_reason_phrase_is_searched() -> None:
    response = Response(401, f"invalid token={SECRET}")
    entry = redactor().entry(Entry(Request("GET", "http://a.test/"), response, Times(1.0)))
    assert entry.response.reason == f"invalid token={HOLDER}"
