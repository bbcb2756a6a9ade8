"""Which requests mean the same, and in which parts others differ."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.model import Body, Request
from proxy_policies.capture.replay.matching import (
    Difference,
    RequestKey,
    differences,
    is_instance_of,
    matches_recorded,
    parse_matching,
    request_key,
    similarity,
)
from proxy_policies.capture.secrets.placeholders import Placeholders

JSON = (("Content-Type", "application/json"),)
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)


def parts(url: str = "/", body: bytes = b"", headers: tuple[tuple[str, str], ...] = (), *ignore: str) -> RequestKey:
    method = "POST" if body else "GET"
    return request_key(Request(method, f"http://shop.test{url}", headers, Body(body)), parse_matching(ignore))


@dataclass(frozen=True)
class Same:
    id: str
    one: RequestKey
    other: RequestKey
    same: bool = True


CASES = [
    Same("query order", parts("/?a=1&b=2"), parts("/?b=2&a=1")),
    Same("query value", parts("/?a=1"), parts("/?a=2"), False),
    Same("percent-encoding", parts("/?a=%41"), parts("/?a=A")),
    Same("bytes of a query", parts("/?hash=%ff%00"), parts("/?hash=%fe%00"), False),
    Same("bytes of a form", parts("/", b"a=%ff", FORM), parts("/", b"a=%fe", FORM), False),
    Same("default port", parts(":80/"), parts("/")),
    Same("json members", parts("/", b'{"a":1,"b":[2]}', JSON), parts("/", b'{ "b": [2], "a": 1 }', JSON)),
    Same("json list order", parts("/", b"[1,2]", JSON), parts("/", b"[2,1]", JSON), False),
    Same("form order", parts("/", b"a=1&b=2", FORM), parts("/", b"b=2&a=1", FORM)),
    Same("ignored query", parts("/?t=1", b"", (), "query:t"), parts("/?t=2", b"", (), "query:t")),
    Same("ignored path", parts("/", b'{"t":1}', JSON, "json:$.t"), parts("/", b'{"t":2}', JSON, "json:$.t")),
    Same("ignored body", parts("/", b"x", (), "body"), parts("/", b"y", (), "body")),
    Same(
        "line breaks of a file",
        parts("/", b"--x\r\n\r\na\n\r\n--x--", (("content-type", "multipart/form-data; boundary=x"),)),
        parts("/", b"--x\r\n\r\na\r\n--x--", (("content-type", "multipart/form-data; boundary=x"),)),
        False,
    ),
    Same(
        "multipart boundary",
        parts("/", b"--x\r\n\r\na\r\n--x--", (("content-type", "multipart/form-data; boundary=x"),)),
        parts("/", b"--y\r\n\r\na\r\n--y--", (("content-type", "multipart/form-data; boundary=y"),)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_means_the_same_is_the_same(case: Same) -> None:
    assert (case.one.canonical() == case.other.canonical()) is case.same
    assert (not differences(case.one, case.other)) is case.same


@pytest.mark.parametrize("spec", ["quer:x", "query:", "json:$[", "body:x"])
def test_a_wrong_ignore_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=r"query:NAME|invalid JSONPath"):
        parse_matching([spec])


def test_the_name_of_a_field_is_a_single_one() -> None:
    for ignored, compared in ((["header:x-a,x-b"], []), ([], ["x-a,x-b"]), (["header:a b"], [])):
        with pytest.raises(ValueError, match="must have a single name; repeat the option for each"):
            parse_matching(ignored, compared)
    assert parse_matching(["query:a,b"]).queries == {"a,b"}


def test_a_field_of_a_multipart_body_is_ignored() -> None:
    fields = (("Content-Type", "multipart/form-data; boundary=b"),)
    bodies = [f'--b\r\nContent-Disposition: form-data; name="t"\r\n\r\n{text}\r\n--b--'.encode() for text in "ab"]
    one, other = (parts("/", body, fields, "form:t") for body in bodies)
    assert one.canonical() == other.canonical()


def test_the_fields_that_are_named_must_be_equal() -> None:
    wanted = parse_matching(["header:x-b"], ["X-A", "x-b"])
    one, other, none = (
        request_key(Request("GET", "http://a.test/", (("x-a", value), ("X-B", value))), wanted)
        for value in ("1", "2", "")
    )
    assert [str(found) for found in differences(one, other)] == ['headers: recorded [["x-a", "1"]], got [["x-a", "2"]]']
    assert one.canonical() != none.canonical()


SELECTED = {
    "$.a": {"a": None, "b": [{"c": 1}, {"c": 2}]},
    "$.b[*].c": {"a": {"x": 1}, "b": [{"c": None}, {"c": None}]},
    "$..*": {"a": None, "b": None},
    "$": None,
    "$.no": {"a": {"x": 1}, "b": [{"c": 1}, {"c": 2}]},
}


@pytest.mark.parametrize(("path", "left"), SELECTED.items(), ids=SELECTED)
def test_what_an_ignored_path_selects_is_blank(path: str, left: object) -> None:
    key = parts("/", b'{"a": {"x": 1}, "b": [{"c": 1}, {"c": 2}]}', JSON, f"json:{path}")
    assert key.body == ["json", left]


HOLDER = Placeholders(b"k" * 32).of("hunter2-Q9xZ")


@given(st.text(st.characters(codec="ascii", exclude_characters='"')))
def test_a_placeholder_of_another_key_matches_any_value_in_its_place(value: str) -> None:
    recorded = parts("/", b'{"token": "%s", "n": 1}' % HOLDER.encode(), JSON).canonical()
    assert is_instance_of(recorded, recorded.replace(HOLDER[:23], value))
    assert not is_instance_of(recorded, recorded.replace('"n": 1', '"n": 2'))
    assert not is_instance_of(recorded.replace(HOLDER[:23], "none"), recorded)


@given(st.builds(parts, st.just("/a?b=1"), st.binary(), st.just(JSON)))
def test_parts_are_read_from_their_json(key: RequestKey) -> None:
    assert RequestKey.from_json(key.as_json()) == key


def test_the_nearest_is_of_the_same_path() -> None:
    asked = parts("/cart/items?n=1")
    near = [parts("/cart/items?n=2"), parts("/cart/items", b"x"), parts("/cart/total?n=1"), parts("/other?n=1")]
    assert sorted(near, key=lambda key: similarity(asked, key), reverse=True) == near


def test_a_difference_drives_no_terminal() -> None:
    assert str(Difference("path", "/\x9b2J", "/\u202e")) == "path: recorded /\\x9b2J, got /\\u202e"


def test_a_long_difference_is_shown_from_where_it_begins() -> None:
    one, other = parts("/", b"x" * 500 + b"one" + b"y" * 500), parts("/", b"x" * 500 + b"two" + b"y" * 500)
    (found,) = map(str, differences(one, other))
    assert "recorded …xxx" in found
    assert "xone" in found
    assert "xtwo" in found
    assert len(found) < 300


def test_times_differ_each_time_and_paths_do_not() -> None:
    old, new = (parts(f"/?at={year}-01-01T00:00:00Z").canonical() for year in (2026, 2027))
    assert matches_recorded(old, new)
    assert matches_recorded(old, old, exact=True)
    assert not matches_recorded(old, new, exact=True)
    assert not matches_recorded(old, parts("/x?at=2027-01-01T00:00:00Z").canonical())


def test_of_another_key_any_secret_stands_for_the_recorded_one() -> None:
    recorded, got = (parts(f"/?token={value}").canonical() for value in (HOLDER, "plain"))
    assert matches_recorded(recorded, got, any_secret=True)
    assert not matches_recorded(recorded, got)
