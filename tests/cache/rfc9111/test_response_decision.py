"""RFC 9111, sections 3 and 4.3: what is done with an answer."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cache_cases import NOW, asked, fields, stored

from proxy_policies.cache.rfc9111.decision import (
    Bypass,
    CompletePartial,
    Decision,
    ForwardReason,
    Miss,
    Request,
    Validate,
)
from proxy_policies.cache.rfc9111.directives import parse_request, parse_response
from proxy_policies.cache.rfc9111.entry import Span, StoredResponse
from proxy_policies.cache.rfc9111.freshness import NO_OVERRIDES, Overrides, evaluate
from proxy_policies.cache.rfc9111.response_decision import (
    DontStore,
    Freshen,
    Join,
    Refetch,
    ResponseContext,
    ResponseDecision,
    ResponseHead,
    ServeStale,
    StoreResponse,
    decide_response,
    described_by_304,
    described_by_head,
)
from proxy_policies.cache.rfc9111.storability import StorageContext as StoringExchange
from proxy_policies.cache.rfc9111.storability import may_store
from proxy_policies.cache.rfc9111.validation import not_modified

OLD = stored("Cache-Control: max-age=1", 'ETag: "a"', "X-Old: 1", "Content-Type: text/plain", age=10, size=4)
PART = stored("Cache-Control: max-age=60", 'ETag: "a"', status=206, span=Span(0, 4, 10), size=5)
MISS = Miss(ForwardReason.URI_MISS)


def validating(entry: StoredResponse = OLD, why: ForwardReason = ForwardReason.STALE) -> Validate:
    return Validate((entry,), fields(), why)


def exchange(
    decision: Decision = MISS, request: Request | None = None, overrides: Overrides = NO_OVERRIDES
) -> ResponseContext:
    return ResponseContext(request or asked(), decision, NOW - 1, lambda _: overrides, 1000, "new")


def decide(
    decision: Decision, status: int, *lines: str, request: Request | None = None, overrides: Overrides = NO_OVERRIDES
) -> ResponseDecision:
    return decide_response(exchange(decision, request, overrides), ResponseHead(status, "OK", fields(*lines)), NOW)


@dataclass
class Update:
    """Fields of a 304 besides its tag, whether the whole response may be stored, and what is not shared."""

    id: str
    lines: tuple[str, ...]
    stored: bool = True
    only_shown: tuple[str, ...] = ()
    request: tuple[str, ...] = ()


UPDATES = [
    Update("nothing", ()),
    Update("max-age", ("Cache-Control: max-age=60",)),
    Update("private", ("Cache-Control: private, max-age=60",), stored=False),
    Update("no-store", ("Cache-Control: no-store, max-age=60",), stored=False),
    Update("no-store in CDN-Cache-Control", ("CDN-Cache-Control: no-store",), stored=False),
    Update("Vary: *", ("Vary: *",), stored=False),
    Update("Authorization in the request", ("Cache-Control: max-age=60",), False, request=("Authorization: x",)),
    Update("Authorization, public", ("Cache-Control: max-age=60, public",), request=("Authorization: x",)),
    Update("a cookie", ("Set-Cookie: a=b", "Cache-Control: max-age=60"), only_shown=("set-cookie",)),
    Update(
        "for one request's credentials",
        ("Authentication-Info: nextnonce=x", "Cache-Control: max-age=60, public"),
        only_shown=("authentication-info",),
        request=("Authorization: x",),
    ),
    Update("a cookie, public", ("Set-Cookie: a=b", "Cache-Control: max-age=60, public")),
    Update("a private field", ("X-Own: 1", 'Cache-Control: max-age=60, private="x-own"'), only_shown=("x-own",)),
]


@pytest.mark.parametrize("case", UPDATES, ids=[case.id for case in UPDATES])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_update_is_judged_as_a_fresh_answer(case: Update, method: str) -> None:
    request = asked(*case.request, method=method)
    question: Decision = validating() if method == "GET" else Miss(ForwardReason.STALE, fallback=OLD)
    decided = decide(question, 304 if method == "GET" else 200, 'ETag: "a"', *case.lines, request=request)
    if method == "HEAD" and not case.stored:
        assert isinstance(decided, DontStore)
        assert decided.removes is OLD
        return
    assert isinstance(decided, Freshen)
    assert (decided.new is not None) is case.stored, decided.why
    assert decided.has_body is (method == "GET")
    for line in case.lines:
        assert line.partition(":")[0] in decided.shown.fields
    assert "x-old" in decided.shown.fields
    for name in case.only_shown:
        assert name in decided.shown.fields
        assert decided.new
        assert name not in decided.new.fields


@dataclass(frozen=True)
class Replacement:
    """A response to a question about OLD, and whether OLD is outdated by it."""

    id: str
    question: Decision
    status: int
    is_outdated: bool = True


NO_CACHE = Miss(ForwardReason.REQUEST, fallback=OLD)
REPLACEMENTS = [
    *(Replacement(f"{status}", validating(), status) for status in (200, 204, 206, 301, 302, 404, 410)),
    *(Replacement(f"{status}", validating(), status, is_outdated=False) for status in (400, 403, 416, 429, 501)),
    Replacement("unconditional", NO_CACHE, 200),
    Replacement("maybe a part of it", NO_CACHE, 206, is_outdated=False),
    Replacement("maybe a copy of it", NO_CACHE, 304, is_outdated=False),
    Replacement("the rest", CompletePartial(OLD, fields()), 200),
    Replacement("another variant", validating(why=ForwardReason.VARY_MISS), 200, is_outdated=False),
    Replacement("nothing is stored", MISS, 200, is_outdated=False),
]


@pytest.mark.parametrize("case", REPLACEMENTS, ids=[case.id for case in REPLACEMENTS])
@pytest.mark.parametrize("control", ["max-age=9", "no-store"])
def test_what_was_asked_about_goes_if_another_comes(case: Replacement, control: str) -> None:
    lines = f"Cache-Control: {control}", "Content-Range: bytes 0-1/4", "Content-Length: 2"
    decided = decide(case.question, case.status, *lines, request=asked("Range: bytes=0-1"))
    assert isinstance(decided, StoreResponse | DontStore)
    assert decided.removes is (OLD if case.is_outdated else None)


FRAMING = ["Content-Encoding: gzip", "Content-Encoding: br, gzip", "Content-Length: 0", "Content-Range: bytes 0-1/9",
           "Transfer-Encoding: chunked", "Connection: X-Old", "Trailer: X"]  # fmt: skip


@pytest.mark.parametrize("line", FRAMING)
def test_an_update_does_not_change_what_the_body_is(line: str) -> None:
    decided = decide(validating(), 304, 'ETag: "a"', line)
    assert isinstance(decided, Freshen)
    assert decided.new
    for entry in (decided.new, decided.shown):
        assert line.partition(":")[0] not in entry.fields
    assert "x-old" in decided.new.fields


def test_a_head_of_another_coding_describes_another_response() -> None:
    decided = decide(
        Miss(ForwardReason.STALE, fallback=OLD), 200, "Content-Encoding: gzip", request=asked(method="HEAD")
    )
    assert decided == DontStore("HEAD describes another response", removes=OLD)


UNTAGGED = OLD.replace(fields=OLD.fields.without(["etag", "last-modified"]))


@pytest.mark.parametrize(
    ("entry", "lines", "decided"),
    [
        (OLD, ("Cache-Control: max-age=60",), DontStore("HEAD has no validator")),
        (OLD, ("Cache-Control: private",), DontStore("private", removes=OLD)),
        (OLD, ("Cache-Control: max-age=60", 'ETag: "a"'), None),
        (UNTAGGED, ("Cache-Control: max-age=60",), None),
    ],
)
def test_a_head_confirms_only_what_it_has_a_validator_of_if_there_is_one(
    entry: StoredResponse, lines: tuple[str, ...], decided: DontStore | None
) -> None:
    """Section 4.3.5 is for responses without validators: for others, a conditional GET shows whether they changed."""
    found = decide(Miss(ForwardReason.STALE, fallback=entry), 200, *lines, request=asked(method="HEAD"))
    assert found == decided or (decided is None and isinstance(found, Freshen) and not found.has_body)


def test_what_selects_an_updated_response_and_its_tags_are_read_anew() -> None:
    alice = asked("X-User: alice", "Foo: 1")
    decided = decide(validating(), 304, 'ETag: "a"', "Vary: X-User", "Cache-Tag: t", request=alice)
    assert isinstance(decided, Freshen)
    assert decided.new
    assert decided.new.vary_key == (("x-user", "=alice"),)
    assert decided.new.tags == {"t"}


def test_another_variants_question_leaves_what_selects_the_response() -> None:
    entry = stored("Cache-Control: max-age=1", 'ETag: "a"', "Vary: Foo", request=("Foo: 1",), age=10)
    decided = decide(validating(entry, ForwardReason.VARY_MISS), 304, 'ETag: "a"', request=asked("Foo: 2"))
    assert isinstance(decided, Freshen)
    assert decided.new
    assert decided.new.vary_key == (("foo", "=1"),)


VARIANT = stored(
    "Cache-Control: max-age=1", 'ETag: "a"', "Vary: Origin", "Access-Control-Allow-Origin: a", "X-A: 1", "Cache-Tag: t",
    request=("Origin: a",), age=10, size=4,
).replace(tags=frozenset({"t"}))  # fmt: skip
OTHERS = ('ETag: "a"', "Access-Control-Allow-Origin: b", "X-A: 2", "X-B: 2", "Cache-Tag: u")


def test_a_304_to_anothers_request_leaves_to_a_variant_what_is_its_own() -> None:
    lines = (*OTHERS, "Cache-Control: max-age=60", "Vary: Origin")
    decided = decide(validating(VARIANT, ForwardReason.VARY_MISS), 304, *lines, request=asked("Origin: b"))
    assert isinstance(decided, Freshen)
    assert decided.new is not None
    shown, kept = decided.shown.fields, decided.new.fields
    for name, others, own in (("access-control-allow-origin", "b", "a"), ("x-a", "2", "1"), ("x-b", "2", None)):
        assert (shown.get(name), kept.get(name)) == (others, own)
    assert (decided.new.ttl(NOW) > 0, decided.new.vary_key, decided.new.tags) == (True, VARIANT.vary_key, VARIANT.tags)


@pytest.mark.parametrize("says", ["Vary: Origin, Cookie", "Vary: Cookie", "Cache-Control: private", "Vary: *"])
def test_a_variant_that_a_304_to_anothers_request_puts_in_doubt_goes(says: str) -> None:
    decided = decide(validating(VARIANT, ForwardReason.VARY_MISS), 304, *OTHERS, says, request=asked("Origin: b"))
    assert isinstance(decided, Freshen)
    assert decided.new is None


def test_what_anothers_304_says_is_one_clients_is_not_kept() -> None:
    lines = (*OTHERS, "Vary: Origin", 'Cache-Control: max-age=60, private="x-a"')
    decided = decide(validating(VARIANT, ForwardReason.VARY_MISS), 304, *lines, request=asked("Origin: b"))
    assert isinstance(decided, Freshen)
    assert decided.new is not None
    assert "x-a" not in decided.new.fields


def test_an_update_by_a_client_with_a_cookie_ends_guesses() -> None:
    entry = stored('ETag: "a"', "Last-Modified: @-999999", age=500_000)
    for request, lifetime in ((asked(), True), (asked("Cookie: a=b"), False)):
        decided = decide(validating(entry), 304, 'ETag: "a"', "Date: @0", request=request)
        assert isinstance(decided, Freshen)
        assert decided.new
        assert (decided.new.freshness.lifetime > 0) is lifetime
        again = decide(validating(decided.new), 304, 'ETag: "a"', "Date: @0")
        assert isinstance(again, Freshen)
        assert again.new
        assert (again.new.freshness.lifetime > 0) is lifetime  # it stays a client's


def test_a_304_makes_fresh_what_a_soft_purge_made_stale() -> None:
    soft = stored("Cache-Control: max-age=60", 'ETag: "a"').as_stale()
    decided = decide(validating(soft), 304, 'ETag: "a"')
    assert isinstance(decided, Freshen)
    assert decided.new
    assert decided.new.ttl(NOW) > 0


def test_a_304_of_another_date_updates_nothing() -> None:
    dated = stored("Cache-Control: max-age=1", "Last-Modified: @-999", "Date: @-10", age=10)
    assert decide(validating(dated), 304, "Last-Modified: @-5") == Refetch()
    assert decide(validating(dated), 304, 'ETag: "b"', "Last-Modified: @-5") == Refetch()
    same = decide(validating(dated), 304, "Last-Modified: @-999", "Cache-Control: max-age=9")
    assert isinstance(same, Freshen)


def test_a_304_that_does_not_say_which_of_several_tags_it_is_about() -> None:
    """The client's copy may be another one than ours."""
    assert decide(validating(), 304, request=asked('If-None-Match: "mine"')) == Refetch()
    assert decide(validating(), 304, 'ETag: "a"', 'ETag: "b"', request=asked('If-None-Match: "mine"')) == Refetch()
    assert isinstance(decide(validating(), 304, 'ETag: "b"', request=asked("If-None-Match: *")), DontStore)


def test_a_304_about_nothing_that_is_stored() -> None:
    assert decide(validating(), 304, 'ETag: "b"') == Refetch()
    own = decide(validating(), 304, 'ETag: "b"', request=asked('If-None-Match: "b"'))
    assert own == DontStore("status 304 is not stored", removes=OLD)
    elsewhere = exchange(validating())._replace(sent_elsewhere=True)
    assert decide_response(elsewhere, ResponseHead(304, "", fields('ETag: "a"')), NOW) == Refetch()


TAG = 'ETag: "a"'
FAILING: list[tuple[str, StoredResponse, tuple[str, ...], bool]] = [
    ("by guess", stored(TAG, age=10), (), True),
    ("by the answer", stored(TAG, "Cache-Control: max-age=1, stale-if-error=60", age=10), (), True),
    ("must-revalidate", stored(TAG, "Cache-Control: max-age=1, must-revalidate", age=10), (), False),
    ("personal", stored(TAG, age=10).replace(personal=True), (), False),
    ("personal, once fresh", stored(TAG, "Cache-Control: max-age=1", age=10).replace(personal=True), (), False),
    ("personal, asked for", stored(TAG, age=10).replace(personal=True), ("Cache-Control: stale-if-error=60",), False),
    ("personal, by the answer",
     stored(TAG, "Cache-Control: max-age=1, stale-if-error=60", age=10).replace(personal=True), (), True),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "lines", "served"), [case[1:] for case in FAILING], ids=[c[0] for c in FAILING])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failing_origin(entry: StoredResponse, lines: tuple[str, ...], served: bool, status: int) -> None:
    decided = decide(validating(entry), status, request=asked(*lines))
    assert isinstance(decided, ServeStale if served else DontStore)


def test_joining() -> None:
    question = CompletePartial(PART, fields())
    rest = ("Content-Range: bytes 5-9/10", "Content-Length: 5", 'ETag: "a"')
    joined = decide(question, 206, *rest, "Cache-Control: max-age=60")
    assert isinstance(joined, Join)
    assert (joined.head.status, joined.head.fields.get("content-length")) == (200, "10")
    assert isinstance(joined.then, StoreResponse)
    private = decide(question, 206, *rest, "Cache-Control: private", "Set-Cookie: a=b")
    assert isinstance(private, Join)
    assert private.then == DontStore("private")
    assert "set-cookie" in private.head.fields  # this client's own
    assert decide(question, 206, *rest, "Content-Encoding: gzip") == Refetch()
    assert decide(question, 206, *rest[:2], 'ETag: "b"') == Refetch()
    assert decide(question, 416, "Content-Range: bytes */5") == Refetch()


@dataclass
class Plain:
    id: str
    exchange: ResponseContext
    lines: tuple[str, ...]
    why: str = ""


PLAIN = [
    Plain("stored", exchange(), ("Cache-Control: max-age=60",)),
    Plain("a bypass", exchange(Bypass(ForwardReason.BYPASS, "a rule")), ("Cache-Control: max-age=60",), "a rule"),
    Plain("elsewhere", exchange()._replace(sent_elsewhere=True), ("Cache-Control: max-age=60",),
          "it was sent elsewhere than its URL says"),
    Plain("too large", exchange(), ("Cache-Control: max-age=60", "Content-Length: 1001"),
          "larger than cache_max_object"),
    Plain("a HEAD", exchange(request=asked(method="HEAD")), ("Cache-Control: max-age=60",), "HEAD is not stored"),
    Plain("a method in lower case", exchange(Bypass(ForwardReason.METHOD), asked(method="get")),
          ("Cache-Control: max-age=60",), "method"),
]  # fmt: skip


@pytest.mark.parametrize("case", PLAIN, ids=[case.id for case in PLAIN])
def test_any_other_answer(case: Plain) -> None:
    decided = decide_response(case.exchange, ResponseHead(200, "OK", fields(*case.lines)), NOW)
    if case.why:
        assert decided == DontStore(case.why)
    else:
        assert isinstance(decided, StoreResponse)
        assert decided.entry.id == "new"


OWN_URL = ("Cache-Control: max-age=60", "Content-Location: http://example.test/")
PASSED_BY = [
    (ForwardReason.METHOD, True),
    (ForwardReason.BYPASS, False),  # a rule, or an upgrade
    (ForwardReason.REQUEST, False),
]


@pytest.mark.parametrize(("why", "is_stored"), PASSED_BY)
def test_a_post_that_passed_the_store_by_for_more_than_its_method_is_not_stored(
    why: ForwardReason, is_stored: bool
) -> None:
    decided = decide(Bypass(why), 200, *OWN_URL, request=asked(method="POST", has_body=True))
    assert isinstance(decided, StoreResponse) is is_stored


COOKIE = "Set-Cookie: sid=alice"
DATED = [
    ("no cookie", (), Overrides(ttl=60), 60),
    ("a cookie", (COOKIE, 'ETag: "a"'), Overrides(ttl=60), 0),
    ("a cookie, a guess", (COOKIE, "Last-Modified: @-9999"), Overrides(ttl=60), 0),
    ("a cookie, the origin's time", (COOKIE, "Cache-Control: max-age=30"), Overrides(ttl=60), 30),
    ("a cookie, less than the origin's time", (COOKIE, "Cache-Control: max-age=90"), Overrides(ttl=60), 60),
    ("everybody's cookie", (COOKIE, "Cache-Control: public"), Overrides(ttl=60), 60),
    ("a rule", (COOKIE, 'ETag: "a"'), Overrides(ttl=60, share_cookies=True), 60),
    ("force", (COOKIE, 'ETag: "a"'), Overrides(ttl=60, force=True), 60),
]


@pytest.mark.parametrize(("lines", "overrides", "lifetime"), [case[1:] for case in DATED], ids=[c[0] for c in DATED])
@pytest.mark.parametrize("status", [200, 304])
def test_a_rules_time_is_not_for_what_sets_a_cookie(
    status: int, lines: tuple[str, ...], overrides: Overrides, lifetime: int
) -> None:
    decided = decide(MISS if status == 200 else validating(stored(*lines)), status, *lines, overrides=overrides)
    entry = (
        decided.entry if isinstance(decided, StoreResponse) else decided.new if isinstance(decided, Freshen) else None
    )
    assert entry
    assert entry.freshness.lifetime == lifetime


lines = st.lists(
    st.sampled_from(
        ["Cache-Control: max-age=60", "Cache-Control: private", "Cache-Control: no-store", "Cache-Control: public",
         'Cache-Control: no-cache="set-cookie"', "Set-Cookie: a=b", "Vary: Foo", "Vary: *", "Content-Encoding: gzip",
         "Last-Modified: @-999", "Cache-Tag: t", "Expires: @60", "Connection: vary"]
    ),
    max_size=4,
)  # fmt: skip
requests = st.lists(st.sampled_from(["Cookie: a=b", "Authorization: x", "Foo: 1"]), max_size=2, unique=True)


@given(lines, requests)
def test_what_is_stored_of_an_update_could_have_been_stored_at_once(update: list[str], request: list[str]) -> None:
    decided = decide(validating(), 304, 'ETag: "a"', *update, request=asked(*request))
    assert isinstance(decided, Freshen)
    whole = decided.shown.fields
    said = parse_response(whole)
    judged = StoringExchange("GET", OLD.key, fields(*request), parse_request(fields(*request)))
    verdict = may_store(judged, 200, whole, lambda: evaluate(200, whole, NOW, NOW))
    assert (decided.new is not None) is bool(verdict)
    if decided.new is not None:
        fresh = decide(MISS, 200, *(f"{name}: {value}" for name, value in whole), request=asked(*request))
        assert isinstance(fresh, StoreResponse)
        assert decided.new.fields.without(["date"]) == fresh.entry.fields.without(["date"])
        assert decided.new.personal == fresh.entry.personal
        assert decided.new.vary_key == fresh.entry.vary_key
        assert decided.new.tags == fresh.entry.tags
        assert ("set-cookie" in decided.new.fields) <= said.public


@pytest.mark.parametrize(
    ("lines", "tag"),
    [
        (("Cache-Control: max-age=60", 'ETag: "b"'), '"b"'),
        (("Cache-Control: max-age=60",), '"a"'),  # a 304 that forgot its tag
        (("Cache-Control: private, max-age=60", 'ETag: "b"'), None),
        (("Cache-Control: no-store", 'ETag: "b"'), None),
        (("Vary: *", "Cache-Control: max-age=60", 'ETag: "b"'), None),
    ],
)
def test_what_a_304_tells_others_of_the_whole(lines: tuple[str, ...], tag: str | None) -> None:
    asking = exchange(request=asked('If-None-Match: "a"'))
    described = described_by_304(asking, fields(*lines), NOW)
    assert (described.freshness.etag if described else None) == tag
    assert described is None or described.status == 200


SINCE = "If-Modified-Since: @-500"


@pytest.mark.parametrize("control", ["max-age=60", "max-age=0"])
def test_an_undated_304_tells_that_nothing_has_changed_since_the_date_that_was_asked_with(control: str) -> None:
    asking = exchange(request=asked(SINCE))
    described = described_by_304(asking, fields(f"Cache-Control: {control}"), NOW)
    assert described is not None
    assert "last-modified" not in described.fields
    assert not_modified(asking.request.fields, described, NOW)
    assert described_by_304(asking, fields("Cache-Control: no-store"), NOW) is None


@pytest.mark.parametrize(
    ("status", "control", "shared"),
    [(200, "max-age=60", True), (404, "max-age=60", True), (200, "private", False), (429, "max-age=60", False)],
)
def test_what_a_head_tells_others(status: int, control: str, shared: bool) -> None:
    head = ResponseHead(status, "OK", fields(f"Cache-Control: {control}", "Content-Length: 5"))
    described = described_by_head(exchange(request=asked(method="HEAD")), head, NOW)
    assert (described.status if described else None) == (status if shared else None)
