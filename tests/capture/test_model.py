"""What messages say of themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.model import Body, Headers, Request, Times, header, media_type, without

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
