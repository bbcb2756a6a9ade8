"""Quick checks of messages say what mitmproxy's say."""

from __future__ import annotations

from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.http import Headers, RequestData, ResponseData

from proxy_policies.tuning import type_checks

REQUEST = {
    "http_version": b"HTTP/1.1",
    "headers": Headers(),
    "content": b"",
    "trailers": None,
    "timestamp_start": 1.0,
    "timestamp_end": None,
    "host": "example.test",
    "port": 80,
    "method": b"GET",
    "scheme": b"http",
    "authority": b"",
    "path": b"/",
}
VALUES: list[Any] = [b"", "", None, 1, 1.5, True, Headers(), (), [], object()]


def outcome(owner: type, fields: dict[str, Any]) -> str:
    try:
        owner(**fields)
    except TypeError as error:
        return str(error)
    return "accepted"


@pytest.mark.parametrize("value", VALUES, ids=[str(n) for n in range(len(VALUES))])
@pytest.mark.parametrize("name", REQUEST)
def test_as_stock(name: str, value: Any) -> None:
    fields = {**REQUEST, name: value}
    stock = outcome(RequestData, fields)
    undo = type_checks.CHECKS.apply()
    assert undo
    try:
        assert outcome(RequestData, fields) == stock
    finally:
        undo()


@pytest.mark.parametrize("owner", [RequestData, ResponseData])
def test_every_annotation_is_read(owner: type) -> None:
    """Were one not, all its messages would take the slow way."""
    assert {name for name, allowed in type_checks.checks_of(owner) if not allowed} == set()


def test_an_annotation_that_cannot_be_read_is_left_to_the_original() -> None:
    assert type_checks.allowed_types("bytes") == type_checks.allowed_types(list[int]) == ()


def test_right_messages_never_see_the_original() -> None:
    def original(message: object) -> None:
        raise AssertionError

    check = type_checks.quick_checks(original)
    check(http.Request.make("GET", "http://example.test/").data)
    odd: Any = http.Response.make().data
    odd.reason = "text"
    with pytest.raises(AssertionError):
        check(odd)
