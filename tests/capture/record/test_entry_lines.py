"""An entry is laid out in parts, most of which were redacted before; the result is that of redacting it as a whole."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import capture_entries

from proxy_policies.capture.har.entry_writer import write_entry
from proxy_policies.capture.har.line_framing import entry_lines
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times
from proxy_policies.capture.record import entry_lines as module
from proxy_policies.capture.record.entry_lines import EntryLines
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules
from proxy_policies.capture.secrets.redact_message import MessageRedactor

SECRET = "Wz-zbpjD-jMLZkbxrVhyYQ"
TOKENS = (SECRET, "hunter2-Q9xZ", "dGhpcyBpcyBub3Qg", "plain")
RULES = ((), ("header:x-customer", "regex:shown", "keep:sid"))
tokens = st.sampled_from(TOKENS)
lines = st.one_of(
    st.sampled_from(
        [("Accept", "*/*"), ("Host", "shop.test"), ("X-Long", "a b " * 2100), ("", "x"), ("Cookie", "a"), ("X", "5%b")]
    ),
    st.integers(0, 3).map(lambda number: ("ETag", f'"{number}"')),
    tokens.map(lambda token: ("Cookie", f"sid={token}; theme=dark")),
    tokens.map(lambda token: ("Set-Cookie", f"sid={token}; Path=/")),
    tokens.map(lambda token: ("Authorization", f"Bearer {token}")),
    tokens.map(lambda token: ("Authorization", "Basic dXNlcjpodW50ZXIyLVE5eFo=")),
    tokens.map(lambda token: ("Location", f"/next?token={token}&a=b")),
    tokens.map(lambda token: ("X-Customer", token)),
    tokens.map(lambda token: ("X-Echo", f'é\x85"\\{token}')),
    tokens.map(lambda token: ("Content-Type", f"text/plain; token={token}")),
    st.sampled_from([("Content-Encoding", ""), ("content-encoding", "identity"), ("Content-Encoding", "gzip")]),
)
fields = st.lists(lines, max_size=4).map(tuple)
texts = st.one_of(st.sampled_from(["", "shown", "a b\u2028c\n", "\ud800"]), tokens.map("it said token={}".format))
contents = st.one_of(
    tokens.map(lambda token: f'{{"token": "{token}", "n": 1}}'.encode()),
    tokens.map(lambda token: f"it is {token}".encode()),
    st.sampled_from([b"", b"\xff\0", b"page 100% \xe2\x80\xa8" * 500, b"\x89PNG\0\0"]),
)
bodies = st.builds(
    Body, contents, st.sampled_from([None, None, b"coded"]), frame_times=st.sampled_from([(), (), (1.0,)])
)
mimes = st.sampled_from(["application/json", "text/html; charset=utf-8", "text/html", "image/png"])
answers = st.builds(
    lambda fields, mime, body, trailers: Response(
        200, "OK", (*fields, ("Content-Type", mime)), body, "HTTP/2", trailers
    ),
    fields,
    mimes,
    bodies,
    st.just(()) | st.just(()) | fields,
)
requests = st.builds(
    lambda token, fields, body: Request("POST", f"http://shop.test/\x85?page=2&k%65y={token}&a+b", fields, body),
    tokens,
    fields,
    bodies,
)
entries = st.builds(
    lambda request, answer, origin, is_forwarded, text: Entry(
        request,
        answer,
        Times(1.0, 2.0),
        "one",
        replace(origin, body=answer.body) if origin and is_forwarded else origin,
        comment=text,
        error=text,
        trace=({"policy": "cache", "why": text},),
        connection_info={"server_ip": "127.0.0.1", "server": {"address": text}},
    ),
    requests,
    answers,
    st.none() | answers,
    st.booleans(),
    texts,
)


def a_redactor(rules: Sequence[str] = (), is_strict: bool = False) -> Redactor:
    return Redactor(parse_rules(list(rules)), Placeholders(b"k" * 32), is_strict)


def recorded(parts: EntryLines, entry: Entry) -> bytes:
    """Return the lines of an entry as the recorder asks for them."""
    key = (repr(replace(entry, request=replace(entry.request, url=""), times=Times(0), id=bool(entry.id) * "1")),)
    known = parts.again(key, entry.request.url, entry.times, entry.id)
    return known or parts.of(entry, key)


@given(
    st.lists(entries | capture_entries.entries, min_size=1, max_size=3),
    st.sampled_from(RULES),
    st.booleans(),
    st.data(),
)
def test_lines_are_those_of_redacting_the_entry_as_a_whole(
    some: list[Entry], rules: tuple[str, ...], is_strict: bool, data: st.DataObject
) -> None:
    some = [*some, *data.draw(st.permutations(some)), *some]
    redactor, other = a_redactor(rules, is_strict), a_redactor(rules, is_strict)
    parts = EntryLines(other)
    for entry in some:
        assert recorded(parts, entry) == entry_lines(write_entry(redactor.entry(entry)))
    assert other.rules.keys() == redactor.rules.keys()


def an_entry(number: int, headers: Headers = (), content: bytes = b"a page", url: str = "") -> Entry:
    """Return an entry, with another time, URL, ETag and id for each number."""
    fields = (("Content-Type", "text/html"), ("ETag", f'"{number}"'), *headers)
    origin = Response(200, "OK", fields, Body(content))
    request = Request("GET", f"http://shop.test/{number}?{url}", (("Cookie", f"sid={SECRET}"),))
    answer = replace(origin, headers=(*fields, ("Via", "1.1 proxy")))
    info = {"client": {"address": "127.0.0.1:1"}, "server_ip": "127.0.0.1"}
    return Entry(request, answer, Times(1e9 + number, 1e9 + number + 0.5), str(number), origin, connection_info=info)


def test_parts_that_repeat_are_redacted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor = a_redactor()
    parts = EntryLines(redactor)
    redact = redactor._redact_places
    asked: list[Entry] = []

    def note(entry: Entry) -> Entry:
        asked.append(entry)
        return redact(entry)

    monkeypatch.setattr(redactor, "_redact_places", note)
    assert b'"_id": "0"' in parts.of(an_entry(0))
    made = len(asked)
    for number in range(1, 5):
        assert f'"_id": "{number}"'.encode() in parts.of(an_entry(number))
    assert len(asked) == made
    assert not any(entry.request.url for entry in asked)


LONG = json.dumps([{"password": f"gVh3kd7Kq9LmPzT{number}", "name": "an item"} for number in range(200)]).encode()


def with_content(content: bytes, media_type: str = "application/json") -> Response:
    return Response(200, "OK", (("Content-Type", media_type),), Body(content))


@pytest.mark.parametrize(
    ("content", "origin_type", "max_size"),
    [
        (LONG.replace(b"an item", f"is {SECRET}".encode()), "application/json", module.MAX_SIZE),
        (LONG, "application/json; charset=utf-8", module.MAX_SIZE),
        (LONG, "application/json", 1000),
    ],
    ids=["a known secret is left", "two media types", "too long to be kept"],
)
def test_a_long_content_is_redacted_once(
    monkeypatch: pytest.MonkeyPatch, content: bytes, origin_type: str, max_size: int
) -> None:
    monkeypatch.setattr(module, "MAX_SIZE", max_size)
    redacted: list[bytes] = []
    redact = MessageRedactor._content

    def note(redactor: MessageRedactor, mime: str, content: bytes) -> bytes:
        redacted.append(content)
        return redact(redactor, mime, content)

    monkeypatch.setattr(MessageRedactor, "_content", note)
    parts = EntryLines(a_redactor())
    parts.of(an_entry(0))  # with the secret
    origin = replace(with_content(content, origin_type), reason="Fine")
    entry = replace(an_entry(1), response=with_content(content), origin=origin)
    lines = parts.of(entry)
    assert b"gVh3kd7Kq9LmPzT1" not in lines
    assert SECRET.encode() not in lines
    assert redacted == [content]


def test_a_long_entry_is_not_kept_as_a_whole() -> None:
    parts = EntryLines(a_redactor())
    for _ in range(2):
        parts.of(an_entry(1, content=b"page " * (module.MAX_REPEATED // 5)), (1,))
    assert not parts.again((1,), "http://shop.test/2", Times(2.0), "2")


@pytest.mark.parametrize("place", ["content", "headers", "url"])
def test_a_secret_that_became_known_later_is_found_in_parts_that_were_made_before(place: str) -> None:
    found = "gVh3kd7Kq9LmPzT2"
    echo = {"content": an_entry(1, content=found.encode()), "headers": an_entry(1, (("X-Echo", found),))}
    entry = echo.get(place, an_entry(1, url=f"page={found}"))
    parts = EntryLines(a_redactor())
    for _ in range(3):
        assert found.encode() in recorded(parts, entry)
    assert found.encode() not in recorded(parts, an_entry(2, (("Set-Cookie", f"session={found}"),)))
    assert found.encode() not in recorded(parts, entry)


def test_an_entry_that_repeats_is_found_by_its_key() -> None:
    parts = EntryLines(a_redactor())
    assert not parts.again((1,), "http://shop.test/2", Times(2.0), "2")
    for _ in range(2):  # the first time, all its parts are new, and may never come again
        parts.of(an_entry(1), (1,))
    again = replace(
        an_entry(1), request=replace(an_entry(1).request, url="http://shop.test/2"), times=Times(2.0), id="2"
    )
    assert parts.again((1,), "http://shop.test/2", Times(2.0), "2") == parts.of(again) != b""
    assert not parts.again(([],), "http://shop.test/2", Times(2.0), "2")


def test_few_parts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SIZE", 8000)
    parts, whole = EntryLines(a_redactor()), a_redactor()
    for number in range(40):
        entry = an_entry(number, content=b"%d " % number * (3000 if number == 5 else 100))
        for _ in range(2):
            assert parts.of(entry, (number,)) == entry_lines(write_entry(whole.entry(entry)))
        for kept in (parts._recent, parts._older):
            assert sum(len(part.text) + len(part.json) + sum(map(len, part.pieces)) for part in kept.values()) <= 8000
