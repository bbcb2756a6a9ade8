"""RFC 9111, section 4.4: what an unsafe request makes invalid."""

import pytest
from tests.support.cache_cases import KEY, fields

from proxy_policies.cache.rfc9111.invalidation import invalidated

INVALIDATED: list[tuple[str, int, tuple[str, ...], list[str]]] = [
    ("POST", 200, (), [KEY]),
    ("M-SEARCH", 200, (), [KEY]),
    ("DELETE", 303, (), [KEY]),
    ("POST", 404, (), []),
    ("POST", 500, (), []),
    ("GET", 200, ("Location: /x",), []),
    ("QUERY", 200, ("Location: /x",), []),
    ("PROPFIND", 207, (), []),
    ("query", 200, (), [KEY]),
    ("PUT", 201, ("Location: /x", "Content-Location: y"), [KEY, f"{KEY}x", f"{KEY}y"]),
    ("PUT", 201, ("Location: http://other.test/x", "Content-Location: https://example.test/x"), [KEY]),
    ("PUT", 201, ("Location: http://[broken",), [KEY]),
]


@pytest.mark.parametrize(("method", "status", "lines", "expected"), INVALIDATED)
def test_invalidated(method: str, status: int, lines: tuple[str, ...], expected: list[str]) -> None:
    assert invalidated(method, KEY, status, fields(*lines)) == expected


def test_what_was_dialled_elsewhere_is_invalidated_there() -> None:
    assert invalidated("PUT", f"{KEY} via z", 200, fields("Location: /x")) == [f"{KEY} via z", f"{KEY}x via z"]
