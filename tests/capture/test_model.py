"""What messages say of themselves."""

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy_policies.capture.model import Body, Headers, Request, Times, header, media_type, query_of, target_of, without

FIELDS: Headers = (("X-A", "1"), ("x-a", ""), ("X-B", "2"), ("Content-Type", " Text/HTML ; charset=latin-1"))


def test_the_lines_of_a_field_are_one_value() -> None:
    assert header(FIELDS, "X-a") == "1, "
    assert header(FIELDS, "x-c") is None
    assert without(FIELDS, "x-a", "content-type") == (("X-B", "2"),)
    assert media_type(FIELDS) == "text/html"
    assert media_type(()) == ""


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://shop.test:8080/a?b#c", "http://shop.test:8080"),
        ("https://[::1]/", "https://[::1]"),
        ("https://user@shop.test", "https://user@shop.test"),
    ],
)
def test_an_origin_is_scheme_and_authority(url: str, origin: str) -> None:
    assert Request("GET", url).origin == origin


moments = st.none() | st.floats(0, 2e9)


@given(st.floats(0, 2e9), moments, moments, moments)
def test_an_exchange_lasts_to_its_last_step_and_never_less_than_nothing(
    start: float, sent: float | None, came: float | None, over: float | None
) -> None:
    """Clocks are set back, and a response may begin before its request has ended."""
    seconds = Times(start, sent, came, over).seconds
    assert seconds >= 0
    if over:
        assert seconds == max(0.0, over - start)


def test_what_came_is_the_same_whenever_it_came() -> None:
    assert Body(b"a", frame_times=(1.0,)) == Body(b"a", frame_times=(2.0,))
    assert Body(b"a") != Body(b"a", wire=b"a")


@given(
    st.sampled_from(["http://h", "https://a.test:8", "ws://h", "http://", "http://u@h", "http://[::1]:80", "h:1", ""]),
    st.text("/?#&=a%2 ;:@\t\x85é\xad", max_size=9),
)
@example("http://h", "/a?")
@example("http://h", "?a/b")
@example("http://h", "/a#b?c")
def test_the_parts_of_a_url_are_those_of_urllib(origin: str, rest: str) -> None:
    parts = urlsplit(origin + rest)
    assert query_of(origin + rest) == parts.query
    assert target_of(origin + rest) == parts.path + (f"?{parts.query}" if parts.query else "")
