"""RFC 9111, section 4: what is done with a request."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cache_cases import KEY, NOW, asked, fields, stored

from proxy_policies.cache.rfc9111.decision import (
    Bypass,
    CompletePartial,
    Decision,
    ForwardReason,
    Hit,
    Miss,
    OnlyIfCached504,
    Request,
    Validate,
    decide,
    fallback,
)
from proxy_policies.cache.rfc9111.entry import Span, StoredResponse
from proxy_policies.fields import Fields

FRESH = stored("Cache-Control: max-age=60", 'ETag: "a"', "Date: @-10", age=10)
STALE = stored("Cache-Control: max-age=5", 'ETag: "a"', "Last-Modified: @-999", "Date: @-10", age=10)
STALE_BARE = stored("Cache-Control: max-age=5", age=10)
PART = stored("Cache-Control: max-age=60", 'ETag: "a"', status=206, span=Span(0, 4, 10), size=5)


def part_with(*validators: str) -> StoredResponse:
    return stored("Cache-Control: max-age=60", *validators, status=206, span=Span(0, 4, 10), size=5)


@dataclass
class Case:
    id: str
    request: Request
    entries: tuple[StoredResponse, ...]
    expected: type[Decision] | ForwardReason


CASES = [
    Case("POST", asked(method="POST"), (FRESH,), ForwardReason.METHOD),
    Case("a GET with a body", asked(has_body=True), (FRESH,), Bypass),
    Case("If-Match is the origin's", asked('If-Match: "a"'), (FRESH,), Bypass),
    Case("If-Unmodified-Since is the origin's", asked("If-Unmodified-Since: @0"), (FRESH,), Bypass),
    Case("no-store", asked("Cache-Control: no-store"), (FRESH,), Bypass),
    Case("nothing stored", asked(), (), ForwardReason.URI_MISS),
    Case("fresh", asked(), (FRESH,), Hit),
    Case("fresh for HEAD", asked(method="HEAD"), (FRESH,), Hit),
    Case("method override is ignored", asked("X-HTTP-Method-Override: POST"), (FRESH,), Hit),
    Case("unkeyed fields are ignored", asked("X-Forwarded-Host: evil", "X-Original-URL: /evil"), (FRESH,), Hit),
    Case("Pragma is ignored", asked("Pragma: no-cache"), (FRESH,), Hit),
    Case("a cookie is ignored", asked("Cookie: a=b"), (FRESH,), Hit),
    Case("no-cache", asked("Cache-Control: no-cache"), (FRESH,), Validate),
    Case("max-age too old", asked("Cache-Control: max-age=9"), (FRESH,), Validate),
    Case("max-age young enough", asked("Cache-Control: max-age=11"), (FRESH,), Hit),
    Case("min-fresh not met", asked("Cache-Control: min-fresh=51"), (FRESH,), Validate),
    Case("min-fresh met", asked("Cache-Control: min-fresh=49"), (FRESH,), Hit),
    Case("stale", asked(), (STALE,), Validate),
    Case("stale without validator", asked(), (STALE_BARE,), ForwardReason.STALE),
    Case("stale for HEAD", asked(method="HEAD"), (STALE,), ForwardReason.STALE),
    Case("max-stale", asked("Cache-Control: max-stale"), (STALE,), Hit),
    Case("max-stale large enough", asked("Cache-Control: max-stale=6"), (STALE,), Hit),
    Case("max-stale too small", asked("Cache-Control: max-stale=4"), (STALE,), Validate),
    Case(
        "max-stale forbidden",
        asked("Cache-Control: max-stale"),
        (stored("Cache-Control: max-age=5, must-revalidate", age=10),),
        ForwardReason.STALE,
    ),
    Case("the response's no-cache", asked(), (stored("Cache-Control: no-cache, max-age=9", 'ETag: "a"'),), Validate),
    Case("no-cache of fields", asked(), (stored('Cache-Control: no-cache="x", max-age=9'),), Hit),
    Case("only-if-cached, fresh", asked("Cache-Control: only-if-cached"), (FRESH,), Hit),
    Case("only-if-cached, stale", asked("Cache-Control: only-if-cached"), (STALE,), OnlyIfCached504),
    Case("only-if-cached, nothing", asked("Cache-Control: only-if-cached"), (), OnlyIfCached504),
    Case("other variant", asked("Foo: 2"), (stored("Cache-Control: max-age=9", "Vary: Foo"),), ForwardReason.VARY_MISS),
    Case(
        "other variant with a tag",
        asked("Foo: 2"),
        (stored("Cache-Control: max-age=9", "Vary: Foo", 'ETag: "a"'),),
        Validate,
    ),
    Case("range within a part", asked("Range: bytes=1-3"), (PART,), Hit),
    Case("range beyond a part", asked("Range: bytes=1-7"), (PART,), ForwardReason.PARTIAL),
    Case("range of another version", asked("Range: bytes=1-3", 'If-Range: "b"'), (PART,), ForwardReason.PARTIAL),
    Case("a part is completed", asked(), (PART,), CompletePartial),
    *(
        Case(f"a part with {validators}", asked(), (part_with(*validators),), ForwardReason.PARTIAL)
        for validators in (
            ('ETag: W/"a"',),
            ("Last-Modified: @-999", "Date: @-10"),
            ('ETag: W/"a"', "Last-Modified: @-9"),
        )
    ),
    Case("a part without a validator, which an origin may complete", asked(), (part_with(),), CompletePartial),
    Case("a part and a condition", asked('If-None-Match: "z"'), (PART,), ForwardReason.PARTIAL),
    Case("a part for HEAD", asked(method="HEAD"), (PART,), ForwardReason.PARTIAL),
]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_decide(case: Case) -> None:
    decision = decide(case.request, case.entries, NOW)
    if isinstance(case.expected, ForwardReason):
        assert isinstance(decision, Miss | Bypass)
        assert decision.why is case.expected
    else:
        assert isinstance(decision, case.expected)


def test_the_most_recent_by_date_is_used() -> None:
    older = stored("Cache-Control: max-age=99", "Date: @-20", age=1, id="older")
    newer = stored("Cache-Control: max-age=99", "Date: @-10", age=5, id="newer")
    for entries in ((older, newer), (newer, older)):
        decision = decide(asked(), entries, NOW)
        assert isinstance(decision, Hit)
        assert decision.entry.id == "newer"


def test_validators_replace_the_clients_and_keep_its_tags() -> None:
    request = asked('If-None-Match: "z", "a"', "If-Modified-Since: @-5", "Accept: */*")
    decision = decide(request, [STALE], NOW)
    assert isinstance(decision, Validate)
    assert decision.fields.get("if-none-match") == '"a", "z"'
    assert decision.fields.get("if-modified-since") == STALE.fields.get("last-modified")
    assert decision.fields.get("accept") == "*/*"


def test_an_unquoted_tag_is_sent_quoted() -> None:
    decision = decide(asked(), [stored("Cache-Control: max-age=0", "ETag: abc", age=1)], NOW)
    assert isinstance(decision, Validate)
    assert decision.fields.get("if-none-match") == '"abc"'


def test_all_variants_tags_are_offered() -> None:
    entries = [
        stored("Vary: Foo", f'ETag: "{tag}"', "Cache-Control: max-age=9", request=(f"Foo: {tag}",)) for tag in "ab"
    ]
    decision = decide(asked("Foo: c"), entries, NOW)
    assert isinstance(decision, Validate)
    assert (decision.fields.get("if-none-match"), decision.why) == ('"a", "b"', ForwardReason.VARY_MISS)
    assert fallback(decision) is None


CODED = ('ETag: "a"', "Vary: Accept-Encoding", "Content-Encoding: gzip")


@pytest.mark.parametrize(
    ("lines", "accepted", "is_offered"),
    [
        (CODED, "br, gzip", True),
        (CODED, "br", False),
        (('ETag: W/"a"', *CODED[1:]), "br, gzip", False),
        (('ETag: W/"a"', CODED[1]), "br", False),
        ((*CODED, 'ETag: "b"'), "br, gzip", False),
    ],
)
def test_only_what_would_do_for_certain_is_offered(lines: tuple[str, ...], accepted: str, is_offered: bool) -> None:
    """The variants in several codings have a weak tag in common where a server compresses what an application tags."""
    entry = stored(*lines, "Cache-Control: max-age=9", request=("Accept-Encoding: gzip",))
    decision = decide(asked(f"Accept-Encoding: {accepted}", "If-Modified-Since: @-9"), [entry], NOW)
    assert isinstance(decision, Validate) is is_offered
    if isinstance(decision, Validate):
        assert "if-modified-since" not in decision.fields


def test_of_two_tags_none_is_asked_with() -> None:
    entry = stored("Cache-Control: max-age=0", 'ETag: "a"', 'ETag: "b"', age=1)
    assert decide(asked(), [entry], NOW) == Miss(ForwardReason.STALE, fallback=entry)


def test_one_clients_variants_are_not_offered_for_another() -> None:
    mine = stored("Vary: Cookie", 'ETag: "a"', request=("Cookie: alice",)).replace(personal=True)
    others = stored("Vary: Cookie", 'ETag: "b"', "Cache-Control: public", request=("Cookie: x",))
    assert decide(asked("Cookie: bob"), [mine], NOW) == Miss(ForwardReason.VARY_MISS)
    decision = decide(asked("Cookie: bob"), [mine, others], NOW)
    assert isinstance(decision, Validate)
    assert decision.fields.get("if-none-match") == '"b"'


def test_stale_while_revalidate_answers_and_refreshes() -> None:
    entry = stored("Cache-Control: max-age=5, stale-while-revalidate=10", age=10)
    decision = decide(asked(), [entry], NOW)
    assert isinstance(decision, Hit)
    assert decision.refresh
    assert isinstance(decide(asked(), [entry], NOW + 10), Miss)
    assert not isinstance(decide(asked("Cache-Control: max-age=9"), [entry], NOW), Hit)


def test_the_rest_of_a_part_is_asked_for_under_its_tag() -> None:
    decision = decide(asked(), [PART], NOW)
    assert isinstance(decision, CompletePartial)
    assert (decision.fields.get("range"), decision.fields.get("if-range")) == ("bytes=5-", '"a"')


def test_an_error_that_is_stored_never_stands_in_for_another() -> None:
    assert fallback(decide(asked(), [stored("Cache-Control: max-age=1", status=503, age=9)], NOW)) is None
    assert fallback(decide(asked(), [STALE], NOW)) is STALE


values = st.one_of(
    st.sampled_from(
        [
            "max-age=0",
            "no-cache",
            "max-stale",
            'no-cache="x"',
            "bytes=0-4",
            "bytes=-1",
            '"a"',
            'W/"a"',
            "*",
            "gzip",
            "0",
        ]
    ),
    st.text(max_size=12),
)
NAMES = (
    "Cache-Control CDN-Cache-Control Range If-Range If-None-Match If-Modified-Since Vary ETag "
    "Date Expires Age Last-Modified Content-Range Accept-Encoding Accept-Language"
)
names = st.sampled_from(NAMES.split())
any_fields = st.lists(st.tuples(names, values), max_size=6).map(lambda pairs: Fields.of(*pairs))


@given(
    st.sampled_from(["GET", "HEAD", "POST", "x"]), any_fields, any_fields, st.sampled_from([200, 206, 304, 404, 599])
)
def test_decide_never_raises(method: str, request: Fields, response: Fields, status: int) -> None:
    for span in (None, Span(0, 4, 10), Span(3, 4)):
        entry = StoredResponse(KEY, status, "", response, (("accept-language", "x"),), NOW, NOW, 5, "1", span)
        decide(Request(method, KEY, request), [entry], NOW + 1)


def test_decide_is_whole_without_fields() -> None:
    assert isinstance(decide(Request("GET", KEY, fields()), [], NOW), Miss)
