"""RFC 9111, section 5.2: reading Cache-Control; RFC 9213: CDN-Cache-Control."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cache_cases import fields

from proxy_policies.cache.rfc9111.directives import ALL, MAX_DELTA, parse_request, parse_response
from proxy_policies.fields import Fields

RESPONSES: list[tuple[str, tuple[str, ...], dict[str, object]]] = [
    ("max-age", ("Cache-Control: max-age=60",), {"max_age": 60}),
    ("case", ("Cache-Control: MaX-aGe=60, No-StOrE",), {"max_age": 60, "no_store": True}),
    ("quoted", ('Cache-Control: max-age="60"',), {"max_age": 60}),
    ("leading zeros", ("Cache-Control: max-age=0060",), {"max_age": 60}),
    ("huge", ("Cache-Control: max-age=99999999999",), {"max_age": MAX_DELTA}),
    ("absurd", (f"Cache-Control: max-age={'9' * 5000}",), {"max_age": MAX_DELTA}),
    ("negative is stale", ("Cache-Control: max-age=-60",), {"max_age": 0}),
    ("fraction is stale", ("Cache-Control: max-age=60.5",), {"max_age": 0}),
    ("letters are stale", ("Cache-Control: max-age=60a",), {"max_age": 0}),
    ("single quotes are stale", ("Cache-Control: max-age='60'",), {"max_age": 0}),
    ("space before =", ("Cache-Control: max-age =60",), {"max_age": 0}),
    ("space after =", ("Cache-Control: max-age= 60",), {"max_age": 0}),
    ("first of two", ("Cache-Control: max-age=1, max-age=60",), {"max_age": 1}),
    ("first of two lines", ("Cache-Control: max-age=60", "Cache-Control: max-age=1"), {"max_age": 60}),
    ("zero after another", ("Cache-Control: max-age=60, max-age=0",), {"max_age": 0}),
    ("zero on another line", ("Cache-Control: s-maxage=60", "Cache-Control: s-maxage=0"), {"s_maxage": 0}),
    ("unreadable after another", ("Cache-Control: max-age=60, max-age=x",), {"max_age": 0}),
    ("without an argument after another", ("Cache-Control: max-age=60, max-age",), {"max_age": 0}),
    ("outside of the grammar after another", ("Cache-Control: max-age=60, x max-age=60",), {"max_age": 0}),
    ("windows, too", ("Cache-Control: stale-if-error=60, stale-if-error=0",), {"stale_if_error": 0}),
    ("each by itself", ("Cache-Control: max-age=0, s-maxage=60",), {"max_age": 0, "s_maxage": 60}),
    ("inside quotes", ('Cache-Control: x="max-age=60", max-age=1',), {"max_age": 1}),
    ("no-cache", ("Cache-Control: no-cache",), {"no_cache": ALL}),
    ("no-cache fields", ('Cache-Control: no-cache="A, b"',), {"no_cache": frozenset({"a", "b"})}),
    ("no-cache both ways", ('Cache-Control: no-cache="a", no-cache',), {"no_cache": ALL}),
    ("private fields", ('Cache-Control: private="a", private="b"',), {"private": frozenset({"a", "b"})}),
    ("private with a space", ("Cache-Control: private = x",), {"private": ALL}),
    ("targeted", ("Cache-Control: no-store", "CDN-Cache-Control: max-age=5"), {"max_age": 5, "targeted": True}),
    ("targeted private", ("CDN-Cache-Control: private",), {"private": ALL, "targeted": True}),
    ("targeted, other case", ("Cache-Control: max-age=1", "CDN-Cache-Control: Max-Age=5"), {"max_age": 1}),
    ("targeted, wrong type", ("Cache-Control: no-store", 'CDN-Cache-Control: max-age="5"'), {"no_store": True}),
    ("targeted, broken", ("Cache-Control: no-store", "CDN-Cache-Control: max-age=5, &&"), {"no_store": True}),
    (
        "targeted, as parameters",
        ("CDN-Cache-Control: max-age=5; private; no-store",),
        {"max_age": 5, "private": ALL, "no_store": True, "targeted": True},
    ),
    (
        "targeted, permitting as a parameter",
        ("CDN-Cache-Control: no-store; public; max-age=5",),
        {"public": False, "no_store": True, "max_age": 0, "targeted": True},
    ),
    ("targeted, empty", ("Cache-Control: max-age=1", "CDN-Cache-Control:"), {"max_age": 1}),
]


@pytest.mark.parametrize(("lines", "expected"), [case[1:] for case in RESPONSES], ids=[case[0] for case in RESPONSES])
def test_response_directives(lines: tuple[str, ...], expected: dict[str, object]) -> None:
    said = parse_response(fields(*lines))
    assert {name: getattr(said, name) for name in expected} == expected
    assert said.targeted == expected.get("targeted", False)


REQUESTS: list[tuple[str, dict[str, object]]] = [
    ("max-age=0", {"max_age": 0}),
    ("max-stale", {"max_stale": MAX_DELTA}),
    ("max-stale=5", {"max_stale": 5}),
    ("max-stale=x", {"max_stale": 0}),
    ("min-fresh=9, only-if-cached, no-cache, no-store", {"min_fresh": 9, "only_if_cached": True, "no_store": True}),
    ("unknown", {"max_age": None}),
    ("max-age=60, max-age=0", {"max_age": 0}),
    ("min-fresh=9, min-fresh=0", {"min_fresh": 9}),
]


@pytest.mark.parametrize(("value", "expected"), REQUESTS, ids=[case[0] for case in REQUESTS])
def test_request_directives(value: str, expected: dict[str, object]) -> None:
    asked = parse_request(fields(f"Cache-Control: {value}"))
    assert {name: getattr(asked, name) for name in expected} == expected


LIFETIMES = st.lists(st.sampled_from(["0", "1", "60", "x", "-1", "1.5", '"60"', ""]), min_size=1, max_size=4)


@given(LIFETIMES, st.sampled_from([", ", "\n"]))
def test_of_several_lifetimes_the_first_counts_unless_one_says_to_validate(
    arguments: list[str], separator: str
) -> None:
    """RFC 9111, section 4.2.1, has either the first used or the response stale."""
    members = separator.join(f"max-age={argument}" for argument in arguments)
    said = parse_response(fields(*(f"Cache-Control: {line}" for line in members.split("\n"))))
    alone = [parse_response(fields(f"Cache-Control: max-age={argument}")).max_age for argument in arguments]
    assert said.max_age == (alone[0] if all(alone) else 0)


@given(st.binary(max_size=60))
def test_no_value_raises(value: bytes) -> None:
    for name in (b"Cache-Control", b"CDN-Cache-Control"):
        parse_response(Fields([(name, value)]))
        parse_request(Fields([(name, value)]))


SEPARATORS = [";", "; ", " ", "\t", ";;", " ; ", "=x;", '="y";', "/"]


@given(
    st.permutations(["private", "no-store", "no-cache", "must-revalidate", "public", "max-age=60"]),
    st.lists(st.sampled_from([*SEPARATORS, ", "]), min_size=5, max_size=5),
)
def test_what_restricts_restricts_whatever_it_is_separated_by(names: list[str], separators: list[str]) -> None:
    value = "".join(name + separator for name, separator in zip(names, [*separators, ""], strict=True))
    said = parse_response(fields(f"Cache-Control: {value}"))
    assert (said.private, said.no_store, said.no_cache, said.must_revalidate) == (ALL, True, ALL, True)


@pytest.mark.parametrize(
    "value", ["public; max-age=60", "max-age=60 public", "must-understand; x, no-store=", "x;public"]
)
def test_what_permits_is_heeded_only_if_it_is_written_rightly(value: str) -> None:
    said = parse_response(fields(f"Cache-Control: {value}"))
    assert (said.public, said.must_understand, said.max_age or 0) == (False, False, 0)


@pytest.mark.parametrize("directive", ["private", "no-cache"])
@pytest.mark.parametrize("name", ["Vary", "cache-control", "content-encoding", "Content-Type", "expires", "date"])
def test_a_response_that_makes_no_sense_without_the_fields_it_names_is_meant_as_a_whole(
    directive: str, name: str
) -> None:
    said = parse_response(fields(f'Cache-Control: max-age=60, {directive}="x-a, {name}"'))
    assert ALL in (said.private, said.no_cache)


WRONG_FIELD_NAMES = [
    *("{}=true", "{}=1", "{}=0", "{}=set-cookie", "{}=x-a", '{}=""', "{}=,", "{}=, x-a", '{}="', '{}="x-a', '{}=x-a"'),
    *('{}="true"', '{}="Yes"', '{}="1"', '{}="*"', '{}="x y"', "{}='x-a'", "{}=(x-a)", '{}="x-a" x', '{}= "x-a"'),
    *('{} ="x-a"', "{} = x-a", "{};x", '"{}', '"{}"', '{}="x-a", {}', '{}, {}="x-a"', '{}="x-a", {}=x-b'),
]


@pytest.mark.parametrize("text", WRONG_FIELD_NAMES)
@pytest.mark.parametrize("name", ["private", "no-cache", "PRIVATE", "No-Cache"])
def test_what_names_no_field_rightly_is_about_the_whole(name: str, text: str) -> None:
    value = text.format(*[name] * 2)
    for lines in (f"max-age=60, {value}", f"{value}, max-age=60", f'x="a, b", {value}, y="\\", \\"z"'):
        said = parse_response(fields(f"Cache-Control: {lines}"))
        assert (said.no_cache if name.lower() == "no-cache" else said.private) == ALL


@pytest.mark.parametrize(
    "value",
    [
        *(
            "private=1",
            "private=?0",
            "private=set-cookie",
            "PRIVATE",
            "private, &",
            "private;",
        ),
        *('max-age=60, "private"', 'max-age=60;private, private="x-a"', "max-age=5.5, private"),
    ],
)
def test_a_targeted_field_that_is_invalid_forbids_what_it_seems_to_forbid(value: str) -> None:
    said = parse_response(fields("Cache-Control: max-age=60", f"CDN-Cache-Control: {value}"))
    assert said.private == ALL


PERMITS_NOT = ["public=1", "public=true", 'public="x"', "public=", "public;", "x public", '"public', "publi c"]


@pytest.mark.parametrize(
    "value", [*PERMITS_NOT, "must-revalidate=0", '"must-revalidate', "s-maxage", "s-maxage=x", "s-maxage=-1"]
)
def test_leave_to_share_what_had_authorization_is_given_by_the_grammar_only(value: str) -> None:
    said = parse_response(fields(f"Cache-Control: max-age=60, {value}"))
    assert (said.public, said.allows_authorization) == (False, False)


@pytest.mark.parametrize("value", ["public", "must-revalidate", "s-maxage=0", 'S-MaxAge="5"', "x, Public"])
@pytest.mark.parametrize("name", ["Cache-Control", "CDN-Cache-Control"])
def test_leave_to_share_what_had_authorization(name: str, value: str) -> None:
    is_structured = name == "Cache-Control" or (value.islower() and '"' not in value)
    assert parse_response(fields(f"{name}: max-age=60, {value}")).allows_authorization == is_structured
