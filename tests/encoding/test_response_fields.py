"""What encoding does to fields.

Entity tags of compressed responses: marked, and as the origin knows them again."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy_policies.encoding.codecs import CODECS
from proxy_policies.encoding.negotiation import IDENTITY
from proxy_policies.encoding.response_fields import (
    marked,
    unmarked,
    with_confirmed_tag,
    with_encoding,
    with_origins_tags,
    with_tag,
    with_vary,
)
from proxy_policies.fields import EntityTag, Fields, parse_entity_tag, split_tags


@pytest.mark.parametrize(
    ("vary", "expected"),
    [
        ((), "Accept-Encoding"),
        (("Origin",), "Origin, Accept-Encoding"),
        (("Origin", "Cookie"), "Origin, Cookie, Accept-Encoding"),
        (("accept-encoding",), "accept-encoding"),
        (("*",), "*"),
    ],
)
def test_varying(vary: tuple[str, ...], expected: str) -> None:
    assert with_vary(Fields.of(*(("Vary", value) for value in vary))).get("vary") == expected


def test_encoded() -> None:
    plain = Fields.of(("Content-Encoding", "identity"), ("accept-ranges", "bytes"), ("Content-MD5", "x"), ("X", "y"))
    assert list(with_encoding(plain, "br")) == [("Content-Encoding", "br"), ("X", "y")]


CODINGS = [*CODECS, IDENTITY]
OPAQUE = st.text("abcW/,\\~-é", max_size=8) | st.builds(
    "{}~{}{}".format, st.text("ab~", max_size=3), st.sampled_from(["", "w-"]), st.sampled_from(CODINGS)
)
"""Texts of tags, many of which look marked."""
TAGS = st.builds(EntityTag, OPAQUE, st.booleans())


def every(_: str) -> bool:
    return True


def restored(value: str, name: str = "If-None-Match", reads: str = "gzip br", method: str = "GET") -> str | None:
    return with_origins_tags(Fields.of((name, value)), method, lambda coding: coding in reads.split()).get(name)


@given(TAGS, st.sampled_from(CODINGS))
def test_what_is_marked_is_found_again(tag: EntityTag, coding: str) -> None:
    assert unmarked(marked(tag, coding)) == (tag, coding)
    assert parse_entity_tag(str(marked(tag, coding))) == marked(tag, coding)


@given(TAGS)
def test_what_we_never_gave_out_is_the_origins_own(tag: EntityTag) -> None:
    own, coding = unmarked(tag)
    assert marked(own, coding) == tag or (own, coding) == (tag, IDENTITY)


@pytest.mark.parametrize("tag", ['"a~gzip"', '"a~w-br"', '"a~identity"', 'W/"a~identity"', 'W/"a~w-identity"'])
@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
def test_a_tag_that_only_looks_marked_reaches_the_origin_as_it_is(name: str, tag: str) -> None:
    assert restored(tag, name=name, method="PUT") == tag


@pytest.mark.parametrize(("given", "expected"), [('W/"a~gzip"', '"a"'), ('W/"a~w-gzip"', 'W/"a"')])
def test_what_was_read_compressed_can_be_changed(given: str, expected: str) -> None:
    assert restored(given, name="If-Match", method="PUT") == expected


@given(st.lists(st.tuples(TAGS, st.sampled_from(CODINGS)), min_size=2, max_size=2, unique=True))
def test_no_two_forms_share_a_tag(forms: list[tuple[EntityTag, str]]) -> None:
    assert marked(*forms[0]) != marked(*forms[1])


@given(st.lists(st.tuples(TAGS, st.sampled_from(CODINGS)), min_size=1, max_size=4))
@example([(EntityTag("\\", False), "zstd"), (EntityTag("", False), "gzip")])
def test_lists_are_restored_whole(forms: list[tuple[EntityTag, str]]) -> None:
    told = ", ".join(str(marked(*form)) for form in forms)
    for name in ("If-Match", "If-None-Match"):
        known = with_origins_tags(Fields.of((name, told)), "PUT", every).get(name)
        assert set(map(parse_entity_tag, split_tags(known or ""))) == {tag for tag, _ in forms}


@pytest.mark.parametrize(
    ("tag", "coding", "expected"),
    [
        ('"v1"', "gzip", 'W/"v1~gzip"'),
        ('W/"v1"', "br", 'W/"v1~w-br"'),
        ('"v1"', IDENTITY, '"v1"'),
        ('"v1~gzip"', IDENTITY, '"v1~gzip~identity"'),
        ('W/"v1~gzip"', IDENTITY, 'W/"v1~gzip~w-identity"'),
        ('"v1~gzip"', "gzip", 'W/"v1~gzip~gzip"'),
    ],
)
def test_how_they_are_written(tag: str, coding: str, expected: str) -> None:
    assert with_tag(Fields.of(("ETag", tag)), coding).get("ETag") == expected


@pytest.mark.parametrize("value", ["a", "W/a", '"a b"', '"a', '"a", "b"', "'a'", ""])
def test_what_is_no_tag_is_that_of_the_plain_form_alone(value: str) -> None:
    fields = Fields.of(("ETag", value))
    assert with_tag(fields, IDENTITY) is fields
    assert "etag" not in with_tag(fields, "gzip")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('W/"a~gzip"', '"a"'),
        ('"a~gzip"', '"a~gzip"'),
        ('W/"a~w-gzip"', 'W/"a"'),
        ('W/"a~gzip", W/"c", "d",W/"b~br"', '"a", W/"c", "d", "b"'),
        ('"a", W/"a~gzip"', '"a"'),
        ('W/"a~zstd", W/"a~gzip"', '"a"'),
        ('W/"a~zstd"', None),
        ('W/"c"', 'W/"c"'),
        ("*", "*"),
        ("a, W/b", "a, W/b"),
        (r'"a\", W/"b~gzip"', r'"a\", "b"'),
    ],
)
def test_if_none_match(given: str, expected: str | None) -> None:
    assert restored(given) == expected


def test_what_the_client_cannot_read_counts_where_something_is_to_change() -> None:
    assert restored('W/"a~zstd"', method="PUT") == '"a"'
    assert restored('W/"a~zstd"', name="If-Match") == '"a"'


def test_no_date_takes_the_place_of_a_tag_that_does_not_count() -> None:
    fields = Fields.of(("If-None-Match", 'W/"a~gzip"'), ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"))
    assert with_origins_tags(fields, "GET", lambda _: False) == Fields()


DATED = "Fri, 01 Jan 2100 00:00:00 GMT"


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("If-Range", '"a"', '"a"'),
        ("If-Range", 'W/"a"', 'W/"a"'),
        ("If-Range", '"a~gzip"', '"a~gzip"'),
        ("If-Range", 'W/"a~identity"', 'W/"a~identity"'),
        ("If-Range", '"a~gzip~identity"', '"a~gzip"'),
        ("If-Match", '"a", "b"', '"a", "b"'),
        ("If-Match", '"a~gzip~identity"', '"a~gzip"'),
        ("If-Match", "*", "*"),
    ],
)
def test_a_part_of_the_plain_form(name: str, given: str, expected: str) -> None:
    fields = with_origins_tags(Fields.of((name, given), ("Range", "bytes=0-")), "GET", every)
    assert fields == Fields.of((name, expected), ("Range", "bytes=0-"))


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("If-Range", 'W/"a~gzip"', None),
        ("If-Match", 'W/"a~gzip"', '"a"'),
        ("If-Match", '"b", W/"a~w-br"', '"b", W/"a"'),
        ("If-Range", DATED, None),
        ("If-Unmodified-Since", DATED, DATED),
    ],
)
def test_the_whole_where_a_part_may_continue_a_compressed_form(name: str, given: str, expected: str | None) -> None:
    fields = with_origins_tags(Fields.of((name, given), ("Range", "bytes=0-")), "GET", every)
    assert (fields.get(name), fields.get("Range")) == (expected, None)


@pytest.mark.parametrize("name", ["If-Range", "If-Unmodified-Since"])
def test_a_date_is_of_the_plain_form_if_the_client_reads_no_other(name: str) -> None:
    fields = Fields.of((name, DATED), ("Range", "bytes=0-"))
    assert with_origins_tags(fields, "GET", lambda _: False) is fields


@pytest.mark.parametrize(
    ("condition", "etag", "confirmed"),
    [
        ('W/"a~gzip"', '"a"', 'W/"a~gzip"'),
        ('"b", W/"a~gzip"', '"a"', 'W/"a~gzip"'),
        ('W/"a~br", W/"a~gzip"', '"a"', 'W/"a~gzip"'),
        ('W/"a~br"', '"a"', 'W/"a~br"'),
        ('W/"a~zstd", "a"', '"a"', '"a"'),
        ('"a~gzip"', '"a"', '"a"'),
        ('W/"a~gzip"', 'W/"a"', 'W/"a~gzip"'),
        ('"a"', '"a"', '"a"'),
        ('W/"b~gzip"', '"a"', '"a"'),
        (None, '"a"', '"a"'),
        ('W/"a~gzip"', None, None),
    ],
)
def test_a_304_has_the_tag_that_the_client_knows(
    condition: str | None, etag: str | None, confirmed: str | None
) -> None:
    fields = Fields() if etag is None else Fields.of(("ETag", etag))
    got = with_confirmed_tag(fields, condition, "gzip", lambda coding: coding in ("gzip", "br"))
    assert got.get("ETag") == confirmed


def test_a_304_for_an_encoded_form_says_nothing_of_the_plain_one() -> None:
    plain = Fields.of(
        ("ETag", '"a"'), ("Repr-Digest", "sha-256=:abc=:"), ("Accept-Ranges", "bytes"), ("Content-Length", "9")
    )
    assert with_confirmed_tag(plain, 'W/"a~gzip"', "gzip", lambda _: True) == Fields.of(("ETag", 'W/"a~gzip"'))
    assert with_confirmed_tag(plain, '"a"', "gzip", lambda _: True) == plain
