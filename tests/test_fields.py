"""HTTP field syntax."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http

from proxy_policies.fields import (
    TOKEN,
    EntityTag,
    Fields,
    fields_of,
    format_date,
    media_type_of,
    parse_date,
    parse_directives,
    parse_entity_tag,
    parse_length,
    parse_weights,
    set_fields,
    split_list,
    split_tags,
    tokens,
    unquote,
)

NOW = 1_700_000_000.0
"""In November 2023."""

names = st.from_regex(TOKEN, fullmatch=True)
raw_lines = st.lists(st.tuples(names.map(str.encode), st.binary(max_size=20)), max_size=8)
token_lists = st.lists(names, max_size=6)
quoted = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)


# Fields


@given(raw_lines)
def test_every_byte_survives(raw: list[tuple[bytes, bytes]]) -> None:
    fields = Fields(raw)
    assert fields.raw == tuple(raw)
    assert Fields.of(*fields) == fields
    assert len(fields) == len(raw)


@given(raw_lines, names, st.text("ab é", max_size=5))
def test_replacing_leaves_one_line_where_the_first_was(raw: list[tuple[bytes, bytes]], name: str, value: str) -> None:
    before = Fields(raw)
    after = before.replacing(name, value)
    assert after.lines(name) == [value]
    assert after.without([name]) == before.without([name])
    order = [key.lower() for key, _ in before if before.lines(key)]
    if name in before:
        assert [key.lower() for key, _ in after].index(name.lower()) == order.index(name.lower())


@given(raw_lines, names, st.text("ab é", max_size=5))
def test_adding_keeps_what_there_is(raw: list[tuple[bytes, bytes]], name: str, value: str) -> None:
    before = Fields(raw)
    after = before.adding(name, value)
    assert after.raw[:-1] == before.raw
    assert after.lines(name) == [*before.lines(name), value]


odd_lines = st.lists(
    st.tuples(st.sampled_from([b"A", b"a", b"B", b"\xff", "\u00c9".encode(), b""]), st.binary(max_size=3))
)
odd_names = st.sampled_from(["a", "A", "b", "\u00c9", "\udcff", "", "absent"])


@given(odd_lines, odd_names)
def test_found_as_mitmproxy_finds_them(raw: list[tuple[bytes, bytes]], name: str) -> None:
    fields, headers = Fields(raw), http.Headers(raw)
    found = headers.get_all(name) if name != "\u00c9" else []  # whose lower case mitmproxy does not know
    assert fields.lines(name) == found
    assert fields.get(name) == (", ".join(found) if found else None)
    assert (name in fields) is bool(found)


@given(raw_lines)
def test_lines_that_are_lists_are_read_too(raw: list[tuple[bytes, bytes]]) -> None:
    lists: Any = [list(line) for line in raw]
    assert [Fields(lists).get(name.decode()) for name, _ in raw] == [Fields(raw).get(name.decode()) for name, _ in raw]


@given(raw_lines, token_lists)
def test_without_takes_all_of_them(raw: list[tuple[bytes, bytes]], gone: list[str]) -> None:
    fields = Fields(raw).without(name.upper() for name in gone)
    assert not any(name in fields for name in gone)


@given(raw_lines, names, st.text("ab é", max_size=5), names)
def test_what_is_added_to_fields_read_before_is_found(
    raw: list[tuple[bytes, bytes]], name: str, value: str, other: str
) -> None:
    before = Fields(raw)
    assert len(before.lines(other)) == len(Fields(raw).lines(other))
    after = before.adding(name, value)
    for wanted in (name, other):
        assert after.lines(wanted) == Fields(after.raw).lines(wanted)
        assert before.lines(wanted) == Fields(raw).lines(wanted)


@given(raw_lines, st.frozensets(names.map(str.lower), max_size=4))
def test_any_of_several_is_there(raw: list[tuple[bytes, bytes]], wanted: frozenset[str]) -> None:
    fields = Fields(raw)
    assert fields.has_any(wanted) == any(name in fields for name in wanted)


def test_a_message_is_viewed_as_it_is_now() -> None:
    headers = http.Headers(((b"A", b"1"),))
    first = fields_of(headers)
    assert fields_of(headers) is first
    headers["A"] = "2"
    assert fields_of(headers).get("a") == "2"
    headers.add("B", "3")
    assert fields_of(headers).get("b") == "3"
    headers.fields = [(b"C", b"4")]  # type: ignore[assignment]  # as addons do
    assert (fields_of(headers).get("c"), fields_of(headers).get("a")) == ("4", None)
    headers.clear()
    assert len(fields_of(headers)) == 0
    assert first.get("a") == "1"


def test_a_message_is_given_fields() -> None:
    headers, copied = http.Headers(((b"A", b"1"),)), http.Headers()
    given_fields = Fields.of(("B", "2"))
    set_fields(headers, given_fields)
    assert fields_of(headers) is given_fields
    assert headers["b"] == "2"
    copied.set_state(headers.get_state())
    assert fields_of(headers.copy()) == fields_of(copied) == given_fields
    assert headers == copied


def test_a_field_that_can_have_one_value() -> None:
    many = Fields.of(("ETag", "a"), ("etag", "a"), ("Date", "b"), ("date", "c"), ("Age", "1"))
    assert [many.single(name) for name in ("ETAG", "date", "age", "expires")] == ["a", None, "1", None]


def test_lines_are_joined_and_names_are_case_insensitive() -> None:
    fields = Fields.of(("Vary", "Cookie"), ("X", "y"), ("vARY", "Origin"))
    assert (fields.get("VARY"), fields.lines("vary"), "varY" in fields) == (
        "Cookie, Origin",
        ["Cookie", "Origin"],
        True,
    )
    assert (fields.get("Age"), fields.lines("Age"), "Age" in fields) == (None, [], False)
    assert repr(fields) == "Fields([('Vary', 'Cookie'), ('X', 'y'), ('vARY', 'Origin')])"
    assert hash(fields) == hash(Fields(fields.raw))
    assert fields != fields.raw


# Lists


@pytest.mark.parametrize(
    ("value", "members"),
    [
        ("a, b", ["a", "b"]),
        (" a ,\t, ,b,", ["a", "b"]),
        ("", []),
        (",", []),
        ('"a, b", c', ['"a, b"', "c"]),
        ('x="1,2";y, z', ['x="1,2";y', "z"]),
        (r'"a\",b", c', [r'"a\",b"', "c"]),
        (r'"a\\", b', [r'"a\\"', "b"]),
        ('a, "b, c', ["a", '"b, c']),
        ('a, b"\\', ["a", 'b"\\']),
        ('","', ['","']),
        ('"a\n"\n,b', ['"a\n"\n', "b"]),
    ],
)
def test_split_list(value: str, members: list[str]) -> None:
    assert split_list(value) == members


@pytest.mark.parametrize(
    ("value", "members"),
    [
        ('"\\", "b"', ['"\\"', '"b"']),
        ('W/"a,b" , ,x', ['W/"a,b"', "x"]),
        ("*", ["*"]),
        ("", []),
    ],
)
def test_split_tags(value: str, members: list[str]) -> None:
    assert split_tags(value) == members


@given(st.lists(names | quoted, max_size=6))
def test_a_joined_list_is_split_as_it_was(members: list[str]) -> None:
    assert split_list(", ".join(members)) == members


@pytest.mark.timeout(4)
@pytest.mark.parametrize("value", ["a" * 20_000 + '"\\', '"' * 20_001, '"\\' * 10_000, '"a' * 10_001 + "\\"])
def test_no_text_takes_long_to_split(value: str) -> None:
    """One pass takes a millisecond; it once took ten seconds, in the event loop."""
    assert "".join(split_list(value)) == value


@given(token_lists)
def test_tokens_are_lower_cased(members: list[str]) -> None:
    assert tokens(",".join(members)) == [member.lower() for member in members]


def test_no_tokens() -> None:
    assert tokens(None) == tokens("") == []


@given(quoted)
def test_unquote_takes_quotes_away(text: str) -> None:
    assert '"' + unquote(text).replace("\\", "\\\\").replace('"', '\\"') + '"' == text


@pytest.mark.parametrize("text", ["a", '"', 'a"', ""])
def test_unquote_leaves_a_token(text: str) -> None:
    assert unquote(text) == text


# Media types and lengths


@pytest.mark.parametrize("text", [None, "", "text/html", "Text/HTML", " text/html ;charset=x", "text/html;a=b;c=d"])
def test_a_media_type_is_found_without_its_parameters(text: str | None) -> None:
    assert media_type_of(text) == ("text/html" if text else "")


@pytest.mark.parametrize(
    ("text", "length"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("007", 7),
        ("-1", None),
        ("+1", None),
        ("1,1", None),
        ("\u0663", None),
        ("²", None),
    ],
)
def test_a_length_is_a_number_of_ascii_digits(text: str | None, length: int | None) -> None:
    assert parse_length(text) == length


def test_a_length_with_thousands_of_digits_raises_nothing() -> None:
    assert parse_length("1" * 5000) is None


# Weights


@pytest.mark.parametrize(
    ("value", "weights"),
    [
        ("gzip", [("gzip", 1.0)]),
        ("GZip;q=0.5, br ; Q=1.000", [("gzip", 0.5), ("br", 1.0)]),
        ("a;q=0, b;q=0.", [("a", 0.0), ("b", 0.0)]),
        ("text/html;level=1;q=0.3", [("text/html", 0.3)]),
        ("a;q=1.1, b;q=-1, c;q=0.1234, d;q=, e;q=x, f;q=\u0660", [(name, 0.0) for name in "abcdef"]),
        ("", []),
    ],
)
def test_parse_weights(value: str, weights: list[tuple[str, float]]) -> None:
    assert parse_weights(value) == weights


# Dates


@dataclass
class Date:
    text: str
    timestamp: float | None


DATES = [
    Date("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
    Date("sun, 06 nov 1994 08:49:37 gmt", 784111777),
    Date("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
    Date("Sun Nov  6 08:49:37 1994", 784111777),
    Date("Sunday, 06-Nov-68 08:49:37 GMT", 3119417377),
    Date("Sunday, 06-Nov-99 08:49:37 GMT", 941878177),
    Date("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    Date("Tue, 29 Feb 2000 23:59:60 GMT", 951868800),
    Date("Sun, 06 Nov 0000 08:49:37 GMT", None),
    Date("Sun Nov  6 08:49:37 0000", None),
    Date("Sun, 06 Nov 1994 24:00:00 GMT", None),
    Date("Sun, 31 Apr 1994 08:49:37 GMT", None),
    Date("Sun, 06 Nev 1994 08:49:37 GMT", None),
    Date("Sun, 6 Nov 1994 08:49:37 GMT", None),
    Date("Sun, 06 Nov 1994 08:49:37 +0100", None),
    Date("Sun, 06 Nov 199\u0664 08:49:37 GMT", None),
    Date("0", None),
    Date("", None),
]


@pytest.mark.parametrize("case", DATES, ids=lambda case: case.text)
def test_parse_date(case: Date) -> None:
    assert parse_date(case.text, NOW) == case.timestamp


@given(st.integers(0, 253_402_300_799))
def test_dates_round_trip(second: int) -> None:
    assert parse_date(format_date(second + 0.7), NOW) == second


# Directives and entity tags


def test_parse_directives() -> None:
    assert parse_directives('Max-Age=60, private="a, b", no-store, max-age = "5", x=, "y;z=w') == [
        ("max-age", "60", True, False),
        ("private", "a, b", True, True),
        ("no-store", None, True, False),
        ("max-age", "", False, False),
        ("5", "", False, False),
        ("x", "", False, False),
        ("y", "", False, False),
        ("z", "", False, False),
        ("w", "", False, False),
    ]
    assert parse_directives(None) == []


opaque = st.text(st.characters(min_codepoint=0x21, exclude_categories=["Cs"], exclude_characters='"\x7f'), max_size=8)
entity_tags = st.builds(EntityTag, opaque, st.booleans())


@given(entity_tags)
def test_entity_tags_round_trip(tag: EntityTag) -> None:
    assert parse_entity_tag(f" {tag} ") == tag


@given(entity_tags, entity_tags)
def test_a_strong_match_is_a_weak_match(one: EntityTag, other: EntityTag) -> None:
    assert one.matches_weakly(other) or not one.matches_strongly(other)
    assert one.matches_weakly(one)
    assert one.matches_strongly(one) is not one.weak


@pytest.mark.parametrize("value", [None, "", "a", '"a', 'w/"a"', '"a""', '"a", "b"', '"a b"'])
def test_what_is_no_entity_tag(value: str | None) -> None:
    assert parse_entity_tag(value) is None


@given(st.text())
def test_nothing_a_peer_sends_raises(text: str) -> None:
    assert split_list(text) is not None
    assert parse_weights(text) is not None
    assert parse_directives(text) is not None
    parse_entity_tag(text)
    parse_date(text, NOW)
    unquote(text)
