"""RFC 9111, section 4.3: conditional requests, and what their answers change."""

from typing import NamedTuple

import pytest
from tests.support.cache_cases import NOW, fields, stored

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.validation import (
    accepts,
    conditional,
    fields_of_304,
    has_validator,
    head_agrees,
    not_modified,
    select_for_304,
    updated_by,
)

ENTRY = stored(
    "Cache-Control: max-age=60", 'ETag: "a"', "Last-Modified: @-999", "Date: @-5", "Age: 7", "Content-Type: text/plain"
)


def test_freshening_replaces_fields_and_keeps_the_rest() -> None:
    update = fields(
        "Cache-Control: max-age=9", "Date: @-5", "X-New: 1", "Content-Length: 0", "Connection: x-hop", "X-Hop: 1"
    )
    new = updated_by(ENTRY, update, NOW, NOW + 1)
    assert (new.fields.get("cache-control"), new.fields.get("x-new")) == ("max-age=9", "1")
    assert new.fields.get("content-type") == "text/plain"
    assert not {"content-length", "x-hop", "age"} & {name.lower() for name, _ in new.fields}
    assert new.age(NOW + 1) == pytest.approx(6)


def test_an_update_without_a_date_is_as_old_as_its_receipt() -> None:
    new = updated_by(ENTRY, fields("Cache-Control: max-age=9"), NOW + 100, NOW + 100)
    assert new.age(NOW + 100) == 0
    assert new.fields.get("date") == fields("Date: @100").get("date")


TAGGED = {tag: stored(f'ETag: "{tag}"', id=tag) for tag in "ab"}


DATED = stored("Last-Modified: @-999", "Date: @-5", id="dated")
"""Well before Date: a strong validator."""
YOUNG = stored("Last-Modified: @-9", "Date: @-5", id="young")
BOTH = stored('ETag: "a"', "Last-Modified: @-999", "Date: @-5", id="both")
BARE = stored("Date: @-5", id="bare")
SOFT = stored('ETag: W/"a"', "Date: @-50", id="soft")
SAME = stored('ETag: "a"', "Date: @-3", id="same")


class About(NamedTuple):
    """A 304 to a question about some stored responses, and the one that it is about."""

    entries: tuple[StoredResponse, ...]
    lines: tuple[str, ...]
    own: str | None
    expected: str | None
    is_variant: bool = False


SELECTED = [
    # an entity tag that both have decides alone
    About((TAGGED["a"],), ('ETag: "a"',), None, "a"),
    About((TAGGED["a"],), ('ETag: W/"a"',), None, "a"),
    About((TAGGED["a"],), ('ETag: "z"',), None, None),
    About((TAGGED["a"],), ("ETag: a",), None, "a"),
    About((SOFT,), ('ETag: "a"',), None, "soft"),
    About((SOFT,), ('ETag: W/"b"',), None, None),
    About((BOTH,), ('ETag: "a"', "Last-Modified: @-1"), None, "both"),
    About((BOTH,), ('ETag: "b"', "Last-Modified: @-999"), None, None),
    # else Last-Modified does
    About((DATED,), ("Last-Modified: @-999",), None, "dated"),
    About((DATED,), ("Last-Modified: @-998",), None, None),
    About((DATED,), ("Last-Modified: @-1000",), None, None),
    About((DATED,), ("Last-Modified: junk",), None, None),
    About((YOUNG,), ("Last-Modified: @-9",), None, "young"),
    About((BOTH,), ("Last-Modified: @-999",), None, "both"),
    About((BOTH,), ("Last-Modified: @-1",), None, None),
    About((TAGGED["a"],), ("Last-Modified: @-999",), None, None),
    About((BARE,), ("Last-Modified: @-999",), None, None),
    About((BARE,), ('ETag: "a"',), None, None),
    # … but not against a strong tag that is not stored, unless it is strong itself
    About((DATED,), ('ETag: "a"', "Last-Modified: @-999"), None, "dated"),
    About((DATED,), ('ETag: "a"',), None, None),
    About((YOUNG,), ('ETag: "a"', "Last-Modified: @-9"), None, None),
    About((YOUNG,), ('ETag: W/"a"', "Last-Modified: @-9"), None, "young"),
    # one that says nothing is about what was asked with, if that was one thing
    About((TAGGED["a"],), (), None, "a"),
    About((DATED,), (), None, "dated"),
    About((TAGGED["a"],), (), '"a"', "a"),
    About((TAGGED["a"],), (), '"mine"', None),
    About((DATED,), (), '"mine"', None),
    About((TAGGED["a"], TAGGED["b"]), (), None, None),
    # two different values are none
    About((TAGGED["a"],), ('ETag: "a"', 'ETag: "b"'), None, None),
    About((TAGGED["a"],), ('ETag: "a"', 'ETag: "a"'), None, "a"),
    About((DATED,), ("Last-Modified: @-999", "Last-Modified: @-1"), None, None),
    # of several the best, and of these the latest
    About((TAGGED["a"], TAGGED["b"]), ('ETag: "b"',), None, "b", is_variant=True),
    About((SOFT, TAGGED["b"], SAME), ('ETag: "a"',), None, "same"),
    About((SOFT, SAME), ('ETag: W/"a"',), None, "same"),
    # another request's variant must be the one for certain
    About((SOFT,), ('ETag: W/"a"',), None, None, is_variant=True),
    About((SOFT,), ('ETag: "a"',), None, None, is_variant=True),
    About((TAGGED["a"],), ('ETag: W/"a"',), None, None, is_variant=True),
    About((TAGGED["a"],), (), None, "a", is_variant=True),
]


@pytest.mark.parametrize("case", SELECTED)
def test_which_entry_a_304_is_about(case: About) -> None:
    found = select_for_304(case.entries, fields(*case.lines), case.own, NOW, is_variant=case.is_variant)
    assert (found.id if found else None) == case.expected


@pytest.mark.parametrize(
    ("entry", "lines", "expected"),
    [
        (SOFT, ('ETag: "a"', "Last-Modified: @-1"), ('W/"a"', None)),
        (TAGGED["a"], ('ETag: W/"a"',), ('"a"', None)),
        (TAGGED["a"], ('ETag: "a"', "Last-Modified: @-99"), ('"a"', "@-99")),
        (DATED, ('ETag: "a"', "Last-Modified: @-999"), ('"a"', "@-999")),
        (BOTH, ('ETag: "a"', "Last-Modified: @-1", "Last-Modified: @-2"), ('"a"', "@-999")),
        (BOTH, ('ETag: "a"', 'ETag: "a"', "Last-Modified: junk"), ('"a"', "@-999")),
        (YOUNG, ('ETag: "a"', 'ETag: "b"', "Last-Modified: @-9"), (None, "@-9")),
    ],
)
def test_no_update_gives_a_body_the_validator_of_another(
    entry: StoredResponse, lines: tuple[str, ...], expected: tuple[str | None, str | None]
) -> None:
    new, date = updated_by(entry, fields(*lines), NOW, NOW), expected[1]
    wanted = None if date is None else fields(f"Last-Modified: {date}").get("last-modified")
    assert (new.fields.get("etag"), new.fields.get("last-modified")) == (expected[0], wanted)


@pytest.mark.parametrize(
    ("accepted", "coded", "expected"),
    [
        ("", "", True),
        ("", "gzip", False),
        ("br, gzip;q=0.5", "gzip", True),
        ("br, gzip;q=0", "gzip", False),
        ("*", "gzip", True),
        ("gzip", "gzip, br", False),
    ],
)
def test_whether_a_coding_is_accepted(accepted: str, coded: str, expected: bool) -> None:
    assert accepts(fields(f"Accept-Encoding: {accepted}"), stored(f"Content-Encoding: {coded}")) is expected


HEADS = [((), True), (('ETag: "a"',), True), (('ETag: "b"',), False), (("Content-Length: 10",), True),
         (("Content-Length: 11",), False), (("Last-Modified: @-5",), False)]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), HEADS)
def test_whether_a_head_describes_what_is_stored(lines: tuple[str, ...], expected: bool) -> None:
    assert head_agrees(ENTRY, fields(*lines)) is expected


def test_a_validation_request_has_our_validators_and_the_clients_tags() -> None:
    asked = conditional(fields('If-None-Match: "mine"', "If-Modified-Since: @-1"), [ENTRY])
    assert asked.get("if-none-match") == '"a", "mine"'
    assert asked.get("if-modified-since") == ENTRY.fields.get("last-modified")
    undated = conditional(fields("If-Modified-Since: @-1"), [stored('ETag: "a"')])
    assert "if-modified-since" not in undated


@pytest.mark.parametrize(("line", "expected"), [('ETag: "a"', True), ("Last-Modified: @-9", True), ("X: y", False)])
def test_what_can_be_validated(line: str, expected: bool) -> None:
    assert has_validator(stored(line)) is expected


def test_if_none_match_goes_before_if_modified_since() -> None:
    assert not_modified(fields('If-None-Match: W/"a"', "If-Modified-Since: @-5000"), ENTRY, NOW)
    assert not not_modified(fields('If-None-Match: "b"', "If-Modified-Since: @0"), ENTRY, NOW)
    assert not_modified(fields("If-Modified-Since: @-999"), ENTRY, NOW)
    assert not not_modified(fields("If-Modified-Since: junk"), ENTRY, NOW)


def test_a_304_has_no_length_nor_coding() -> None:
    kept = fields_of_304(fields("Content-Length: 5", "Content-Encoding: gzip", 'ETag: "a"'))
    assert [name for name, _ in kept] == ["ETag"]
