"""Redaction is exact: what is a secret is gone, and everything else is byte for byte there, in generated traffic.

Each structure writes pairs of names and values; what is expected is what it writes with placeholders for the secrets.
"""

import base64
import html
import json
import string
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.har import writer
from proxy_policies.capture.har.reader import open_capture
from proxy_policies.capture.model import Body, Entry, Request, Response, Times, WebSocketMessage, header
from proxy_policies.capture.replay.matching import Matching, request_key
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules

KEY = Placeholders(b"k" * 32)
Pairs = Sequence[tuple[str, str]]

SECRET_NAMES = [
    *("password", "newPassword", "user_password", "clientsecret", "accesstoken", "access_token", "refreshToken"),
    *("X-ApiToken", "x-session-token", "api_key", "API-KEY", "sessionId", "csrf_token", "passwordConfirmation"),
]
PLAIN_NAMES = [
    *(
        "token_type",
        "token_endpoint",
        "tokens_supported",
        "password_policy",
        "passwordHint",
        "session_title",
        "auth_method",
    ),
    *(
        "token_expires_at",
        "signature_algorithm",
        "cookie_domain",
        "csrf_header_name",
        "nextPageToken",
        "page",
        "author",
    ),
    *("name", "keyboard", "X-Session-Timeout", "assessment", "primary_key"),
]
PLAIN_VALUES = [
    *("true", "false", "null", "2026-11-28", "2026-11-28T10:00:00Z", "Sat, 28 Nov 2026 10:00:00 GMT"),
    *("http://shop.test/a/b", "https://evil.test/", "10", "5", "mac", "none"),
]
HARMLESS_VALUES = [
    *PLAIN_VALUES,
    "bearer",
    "10000001",
    "Berlin",
    "a b  c",
    "Zoë & Söhne <3",
    'say "hi"',
    "50%",
    "x=1&y=2",
]


def random_text(alphabet: str, least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most)


LETTERS = string.ascii_letters + string.digits
SECRETS = st.one_of(
    random_text("0123456789abcdef", 16, 64).filter(lambda text: sum(map(str.isalpha, text)) > 3 and not text.isalpha()),
    st.builds("{}-7Qx9{}".format, random_text(LETTERS + "-_", 6, 40), random_text(LETTERS, 1, 8)),
    st.builds("hunter2 {}/Q9x!".format, random_text(LETTERS + "äß€%&<>'\"\\+/", 4, 10)),
)


def json_text(pairs: Pairs) -> str:
    return json.dumps({name: value for name, value in pairs}, ensure_ascii=False)


def pretty(pairs: Pairs) -> str:
    inner = [{name: value, "n": 12, "deep": [{name: value}, None, True]} for name, value in pairs]
    return json.dumps({"items": inner, "total": 1.50}, indent=2)


def in_string(pairs: Pairs) -> str:
    return json.dumps({"Records": [{"body": json_text(pairs), "id": 7}]})


def named(pairs: Pairs) -> str:
    return json.dumps([{"name": name, "value": value} for name, value in pairs])


def below_credentials(pairs: Pairs) -> str:
    return json.dumps({"list": [{"user": "joe", name: [value, value]} for name, value in pairs], "z": "\u00e9"})


def ndjson(pairs: Pairs) -> str:
    return "".join(json_text([pair]) + "\n" for pair in pairs)


def events(pairs: Pairs) -> str:
    return "".join(f"event: x\ndata: {json_text([pair])}\n\n" for pair in pairs)


def form(pairs: Pairs) -> str:
    return "&".join(f"{quote_plus(name)}={quote(value, safe='')}" for name, value in pairs)


def xml(pairs: Pairs) -> str:
    inner = "".join(f'<s:{name} Type="text">{html.escape(value)}</s:{name}>\n' for name, value in pairs)
    return f'<?xml version="1.0"?>\n<s:a xmlns:s="urn:x">{inner}<b>c</b></s:a>'


def inputs(pairs: Pairs) -> str:
    return "<form>" + "".join(f'<input value="{html.escape(v)}" name="{n}">' for n, v in pairs) + "</form>"


def multipart(pairs: Pairs) -> str:
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in pairs]
    parts += [
        'Content-Disposition: form-data; name="f"; filename="a.bin"\r\nContent-Type: image/png\r\n\r\n\udcff\0\x01'
    ]
    return "".join(f"--bBb\r\n{part}\r\n" for part in parts) + "--bBb--\r\n"


def in_base64(pairs: Pairs) -> str:
    return json.dumps({"cursor": 7, "data": base64.b64encode(json_text(pairs).encode()).decode()})


def in_attribute(pairs: Pairs) -> str:
    return f'<div id="app" data-page="{html.escape(json_text(pairs))}">a &amp; b</div>'


def patch(pairs: Pairs) -> str:
    return json.dumps([{"op": "replace", "path": f"/user/{name}", "value": value} for name, value in pairs])


def fields(pairs: Pairs) -> str:
    return json.dumps([{"name": name, "type": "text", "required": True, "value": value} for name, value in pairs])


def xml_rpc(pairs: Pairs) -> str:
    inner = "".join(
        f"<member><name>{n}</name><value><string>{html.escape(v)}</string></value></member>" for n, v in pairs
    )
    return f"<methodCall><params><struct>{inner}</struct></params></methodCall>"


def xml_values(pairs: Pairs) -> str:
    inner = "".join(f"<{name}><!-- a --><value>{html.escape(value)}</value></{name}>" for name, value in pairs)
    return f"<a>{inner}</a>"


def table(pairs: Pairs) -> str:
    rows = [["city", *(name for name, _ in pairs)], ["Berlin", *(value for _, value in pairs)], ["Bonn, am Rhein"]]
    return "".join(",".join(map(cell, row)) + "\r\n" for row in rows)


def cell(text: str) -> str:
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if set(text) & set(',;"\t ') else text


def listed(pairs: Pairs) -> str:
    return json.dumps([["a", 1], *(list(pair) for pair in pairs), ["required", ["password", "email"]]], indent=1)


def listed_in_string(pairs: Pairs) -> str:
    return json.dumps({"body": json.dumps([list(pair) for pair in pairs]), "required": ["password", "email"]})


def xml_rpc_sections(pairs: Pairs) -> str:
    inner = "".join(f"<m:name>{n}</m:name>\n<m:value><![CDATA[{v}]]></m:value>" for n, v in pairs)
    return f'<m:struct xmlns:m="urn:x">{inner}</m:struct>'


def rows(pairs: Pairs) -> str:
    return "".join(",".join(map(cell, row)) + "\n" for row in [("Name", "Value"), ("city", "Bonn"), *pairs])


def multipart_in_string(pairs: Pairs) -> str:
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in pairs]
    return json.dumps({"body": "".join(parts) + "--b--\r\n", "id": 7})


def multipart_in_base64(pairs: Pairs) -> str:
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in pairs]
    return json.dumps({"body": base64.b64encode(("".join(parts) + "--b--\r\n").encode()).decode()})


def base64_in_base64(pairs: Pairs) -> str:
    inner = base64.b64encode(json_text(pairs).encode())
    return json.dumps({"page": base64.urlsafe_b64encode(inner).decode(), "n": 1})


def form_in_base64(pairs: Pairs) -> str:
    return f"<a>{base64.b64encode(form(pairs).encode()).decode()}</a>"


def compared(pairs: Pairs) -> str:
    return json.dumps({"where": [["city", "=", "Bonn"], *([name, "eq", value] for name, value in pairs)], "n": ["="]})


def below_operators(pairs: Pairs) -> str:
    return json.dumps({"where": {name: {"$eq": value, "city": "Bonn"} for name, value in pairs}})


def parameters(pairs: Pairs) -> str:
    return json.dumps([{"param": name, "v": value, "city": "Bonn"} for name, value in pairs])


def columns(pairs: Pairs) -> str:
    names, values = [name for name, _ in pairs], [value for _, value in pairs]
    return json.dumps({"columns": ["city", *names], "rows": [["Bonn", *values], [None, *values]], "required": names})


def described_columns(pairs: Pairs) -> str:
    names = [{"name": name, "type": "varchar"} for name, _ in pairs]
    return json.dumps({"columns": names, "data": [[value for _, value in pairs]]}, indent=1)


def rows_of_two(pairs: Pairs) -> str:
    inner = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in pairs)
    return f"<table><tr><th>city</th><td>Bonn</td></tr>{inner}</table>"


def titled(pairs: Pairs) -> str:
    between = {"type": "text", "order": 3, "none": None, "list": [1, {"text": "Bonn"}], "deep": {"value": "Bonn"}}
    return json.dumps([{"label": name, **between, "text": value} for name, value in pairs])


def named_in_string(pairs: Pairs) -> str:
    return json.dumps({"body": named(pairs), "data": titled(pairs), "id": 7})


def markup_in_string(pairs: Pairs) -> str:
    inner = "".join(f'<a {n}="{html.escape(v)}"/><input name="{n}" value="{html.escape(v)}">' for n, v in pairs)
    return json.dumps({"html": f"<p>{inner}</p>", "id": 7}, ensure_ascii=False)


def php(pairs: Pairs) -> str:
    def text(value: str) -> str:
        return f's:{len(octets(value))}:"{value}";'

    return f"a:{len(pairs)}:{{{''.join(text(name) + text(value) for name, value in pairs)}}}"


def php_in_string(pairs: Pairs) -> str:
    return json.dumps({"city": "Bonn", "meta": php(pairs)})


def php_session(pairs: Pairs) -> str:
    return "city|" + php([("a", "b")]) + "".join(f'{name}|s:{len(octets(value))}:"{value}";' for name, value in pairs)


def bencode(pairs: Pairs) -> str:
    return "d" + "".join(f"{len(octets(text))}:{text}" for pair in pairs for text in pair) + "e"


def inserted(pairs: Pairs) -> str:
    def row(values: Sequence[str]) -> str:
        return ", ".join("'" + value.replace("\\", "\\\\").replace("'", "''") + "'" for value in values)

    names, values = [f'"{name}"' for name, _ in pairs], row([value for _, value in pairs])
    return f"INSERT INTO users (id, {', '.join(names)}) VALUES (7, {values}),\n  (lower('a'), {values});"


def transit(pairs: Pairs) -> str:
    return json.dumps(["^ ", "~:city", "Bonn", *(text for name, value in pairs for text in (f"~:{name}", value))])


def deflated(pairs: Pairs) -> str:
    return json.dumps({"n": 7, "page": base64.b64encode(zlib.compress(json_text(pairs).encode())).decode()})


def in_hexadecimal(pairs: Pairs) -> str:
    return json.dumps({"n": 7, "page": json_text(pairs).encode().hex()})


def form_in_forms(pairs: Pairs) -> str:
    return f"n=7&page={quote_plus(quote_plus(json_text(pairs)))}"


def table_in_string(pairs: Pairs) -> str:
    names, values = zip(("city", "Bonn, am Rhein"), *pairs, strict=True)
    lines = [",".join(['"' + value.replace('"', '""') + '"' for value in row]) for row in (names, values, values)]
    return json.dumps({"city": "Bonn", "csv": "\n".join(["of 2026", *lines])})


def wide(pairs: Pairs) -> str:
    """Return JSON in UTF-16, each byte as a character that `octets` makes it of again."""
    return ("\ufeff" + json_text(pairs)).encode("utf-16-le").decode("ascii", "surrogateescape")


@dataclass(frozen=True)
class Structure:
    write: Callable[[Pairs], str]
    mime: str


STRUCTURES = {
    "json": Structure(json_text, "application/json"),
    "pretty": Structure(pretty, "application/json; charset=utf-8"),
    "json without a type": Structure(json_text, ""),
    "json called a form": Structure(json_text, "application/x-www-form-urlencoded"),
    "json in json": Structure(in_string, "application/json"),
    "lists": Structure(below_credentials, "application/json"),
    "named": Structure(named, "application/json"),
    "ndjson": Structure(ndjson, "application/x-ndjson"),
    "events": Structure(events, "text/event-stream"),
    "form": Structure(form, "application/x-www-form-urlencoded"),
    "form without a type": Structure(form, ""),
    "xml": Structure(xml, "application/soap+xml"),
    "inputs": Structure(inputs, "text/html"),
    "multipart": Structure(multipart, "multipart/form-data; boundary=bBb"),
    "base64": Structure(in_base64, "application/json"),
    "attribute": Structure(in_attribute, "text/html"),
    "JSON patch": Structure(patch, "application/json-patch+json"),
    "fields": Structure(fields, "application/json"),
    "XML-RPC": Structure(xml_rpc, "text/xml"),
    "XML values": Structure(xml_values, "application/xml"),
    "table": Structure(table, "text/csv"),
    "lists of two": Structure(listed, "application/json"),
    "lists of two in a string": Structure(listed_in_string, "application/json"),
    "XML-RPC with a namespace": Structure(xml_rpc_sections, "text/xml"),
    "table without a type": Structure(table, "text/plain"),
    "table of Excel's": Structure(table, "application/vnd.ms-excel"),
    "names and values": Structure(rows, "text/csv"),
    "multipart without a type": Structure(multipart, "text/plain"),
    "multipart in a string": Structure(multipart_in_string, "application/json"),
    "multipart in base64": Structure(multipart_in_base64, "application/json"),
    "base64 in base64": Structure(base64_in_base64, "application/json"),
    "form in base64": Structure(form_in_base64, "application/xml"),
    "comparisons": Structure(compared, "application/json"),
    "operators": Structure(below_operators, "application/json"),
    "parameters": Structure(parameters, "application/json"),
    "columns": Structure(columns, "application/json"),
    "described columns": Structure(described_columns, "application/json"),
    "rows of two": Structure(rows_of_two, "text/html"),
    "titles": Structure(titled, "application/json"),
    "titles in a string": Structure(named_in_string, "application/json"),
    "inputs in a string": Structure(markup_in_string, "application/json"),
    "UTF-16": Structure(wide, "application/json"),
    "PHP": Structure(php, "text/plain"),
    "PHP in a string": Structure(php_in_string, "application/json"),
    "PHP session": Structure(php_session, "text/plain"),
    "bencode": Structure(bencode, "application/x-bittorrent"),
    "SQL": Structure(inserted, "application/sql"),
    "Transit": Structure(transit, "application/transit+json"),
    "zlib in base64": Structure(deflated, "application/json"),
    "hexadecimal": Structure(in_hexadecimal, "application/json"),
    "form in forms": Structure(form_in_forms, "application/x-www-form-urlencoded"),
    "table in a string": Structure(table_in_string, "application/json"),
}
structures = st.sampled_from(sorted(STRUCTURES))
secrets = st.tuples(st.sampled_from(SECRET_NAMES), SECRETS)
plain = st.one_of(
    st.tuples(st.sampled_from(SECRET_NAMES), st.sampled_from(PLAIN_VALUES[:8])),
    st.tuples(st.sampled_from(PLAIN_NAMES), st.sampled_from(HARMLESS_VALUES)),
)
pairs_of_both = st.lists(
    st.one_of(secrets.map(lambda pair: (*pair, True)), plain.map(lambda pair: (*pair, False))),
    min_size=1, max_size=5, unique_by=lambda item: item[0],
)  # fmt: skip


def octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def redacted(content: bytes, mime: str, *, as_request: bool) -> bytes:
    fields = (("Content-Type", mime),) if mime else ()
    request = Request("POST", "http://a.test/", fields if as_request else (), Body(content) if as_request else Body())
    response = Response(200, "", () if as_request else fields, Body() if as_request else Body(content))
    entry = Redactor(parse_rules(()), KEY).entry(Entry(request, response, Times(1.0)))
    return (entry.request if as_request else entry.response).body.content


def drawn(found: Sequence[tuple[str, str, bool]]) -> tuple[Pairs, Pairs]:
    before = [(name, value) for name, value, _ in found]
    after = [(name, KEY.of(value) if is_secret else value) for name, value, is_secret in found]
    return before, after


@given(structures, pairs_of_both, st.booleans())
def test_a_body_has_placeholders_and_is_else_as_it_was(
    name: str, found: list[tuple[str, str, bool]], as_request: bool
) -> None:
    structure, (before, after) = STRUCTURES[name], drawn(found)
    content = octets(structure.write(before))
    expected = octets(structure.write(after))
    once = redacted(content, structure.mime, as_request=as_request)
    assert once == expected
    assert redacted(once, structure.mime, as_request=as_request) == once


@given(structures, pairs_of_both, st.floats(0.2, 1), st.sampled_from(["cut", "byte before", "byte after"]))
def test_a_damaged_body_keeps_no_secret(
    name: str, found: list[tuple[str, str, bool]], share: float, damage: str
) -> None:
    structure, (before, _) = STRUCTURES[name], drawn(found)
    whole = octets(structure.write(before))
    cut = whole[: int(len(whole) * share)] if damage == "cut" else whole
    content = {"cut": cut, "byte before": b"\xff" + whole, "byte after": whole + b"\n\xfe"}[damage]
    done = redacted(content, structure.mime, as_request=True)
    for _, value, is_secret in found:
        written = [octets(value), octets(json.dumps(value)[1:-1]), octets(quote(value, safe=""))]
        if is_secret:
            assert not [text for text in written if text in done]


@given(pairs_of_both, st.lists(st.tuples(st.sampled_from(["theme", "day", "user_id", "return_to", "lang"]),
       st.sampled_from([*PLAIN_VALUES, "dark", "10000001", "en-US", "Europe/Berlin"])), max_size=3))  # fmt: skip
def test_every_entry_can_be_read_and_replayed(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[str, str, bool]], cookies: Pairs
) -> None:
    before, after = drawn(found)
    cookie = "; ".join(f"{name}={quote(value, safe=':/')}" for name, value in cookies)
    fields = (("Host", "shop.test"), ("Cookie", cookie), ("Content-Type", "application/json"))
    body = Body(octets(json_text(before)))
    request = Request("POST", f"http://shop.test/calendar/2026-11-28/10000001?{form(before)}", fields, body)
    answer = {"id": 10000001, "day": "2026-11-28", "echo": [value for _, value in before]}
    set_cookies = tuple(("Set-Cookie", f"{name}={quote(value, safe=':/')}; Path=/") for name, value in cookies)
    response = Response(
        200, "OK", (*set_cookies, ("Content-Type", "application/json")), Body(json.dumps(answer).encode())
    )
    messages = (WebSocketMessage(True, True, octets(json_text(before)), 1.0),)
    redactor = Redactor(parse_rules(()), KEY)
    path = tmp_path_factory.mktemp("capture") / "a.har"
    with writer.create(path, writer.new_log(KEY.key_id)) as out:
        out.write(redactor.entry(Entry(request, response, Times(1.7e9), messages=messages)))
    (entry,) = open_capture(path)
    assert urlsplit(entry.request.url).netloc == "shop.test"
    assert entry.request.url == f"http://shop.test/calendar/2026-11-28/10000001?{form(after)}"
    assert header(entry.request.headers, "cookie") == cookie
    assert [value for name, value in entry.response.headers if name == "Set-Cookie"] == [
        text for _, text in set_cookies
    ]
    assert json.loads(entry.request.body.content) == dict(after)
    said = json.loads(entry.response.body.content)
    assert (said["id"], said["day"]) == (10000001, "2026-11-28")
    assert entry.messages[0].data == entry.request.body.content
    live = Redactor(parse_rules(()), KEY).request_swept(request)
    assert request_key(live, Matching()).canonical() == request_key(entry.request, Matching()).canonical()
