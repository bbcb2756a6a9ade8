"""RFC 9111, section 4.3: conditional requests, and what their answers change."""

import pytest
from tests.support.cache_cases import NOW, fields, stored

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.validation import (
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


SELECTED: list[tuple[tuple[StoredResponse, ...], tuple[str, ...], str | None, str | None]] = [
    ((TAGGED["a"],), ('ETag: "a"',), None, "a"),
    ((TAGGED["a"],), ('ETag: W/"a"',), None, "a"),
    ((TAGGED["a"],), (), None, "a"),
    ((TAGGED["a"],), ('ETag: "z"',), None, None),
    ((TAGGED["a"],), (), '"mine"', None),
    ((TAGGED["a"], TAGGED["b"]), ('ETag: "b"',), None, "b"),
    ((TAGGED["a"], TAGGED["b"]), (), None, None),
]


@pytest.mark.parametrize(("entries", "lines", "own", "expected"), SELECTED)
def test_which_entry_a_304_is_about(
    entries: tuple[StoredResponse, ...], lines: tuple[str, ...], own: str | None, expected: str | None
) -> None:
    found = select_for_304(entries, fields(*lines), own)
    assert (found.id if found else None) == expected


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
