"""Header fields are found as by mitmproxy's own functions."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.http import Headers

from proxy_policies.tuning.headers import HEADERS

NAMES = [b"Host", b"host", b"X-A", b"x-a", "Café".encode(), b"caf\xe9", b""]
KEYS: list[Any] = ["host", "HOST", b"HoSt", "x-a", "café", "CAFÉ", "caf\udce9", b"CAF\xe9", "", "absent", "\ud800"]
ODD: list[Any] = [None, 1, ["host"], bytearray(b"host")]

Look = Callable[[Headers, Any], object]
LOOKS: dict[str, Look] = {
    "get_all": lambda headers, key: headers.get_all(key),
    "get": lambda headers, key: headers.get(key),
    "get-default": lambda headers, key: headers.get(key, "default"),
    "get-by-name": lambda headers, key: headers.get(key, default="default"),  # type: ignore[call-overload]
    "in": lambda headers, key: key in headers,
    "item": lambda headers, key: headers[key],
    "pop": lambda headers, key: (headers.pop(key, "none"), headers.fields),
    "setdefault": lambda headers, key: (headers.setdefault(key, "value"), headers.fields),
}


class Own(Headers):
    """A subclass that looks fields up in its own way."""

    def __getitem__(self, key: Any) -> str:
        if key == "x-a":
            raise KeyError(key)
        return f"mine: {key}"


@contextmanager
def trimmed() -> Iterator[None]:
    undo = [patch.apply() for patch in HEADERS]
    try:
        yield
    finally:
        for take_out in undo:
            assert take_out
            take_out()


def outcome(look: Look, kind: type[Headers], fields: Any, key: Any) -> object:
    headers = kind(fields)
    try:
        return look(headers, key)
    except Exception as error:
        return repr(error)


@pytest.mark.parametrize("kind", [Headers, Own], ids=["headers", "subclass"])
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@given(
    fields=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([b"", b"1", b"a, b", b"\xff", "é".encode()]))),
    key=st.sampled_from(KEYS + ODD),
)
def test_as_stock(kind: type[Headers], look: Look, fields: list[tuple[bytes, bytes]], key: Any) -> None:
    stock = outcome(look, kind, fields, key)
    with trimmed():
        assert outcome(look, kind, fields, key) == stock


MADE_OF: list[Any] = [
    (),
    [],
    ((b"a", b"b"),),
    [[b"a", b"b"], (b"c", b"d")],
    iter([(b"a", b"b")]),
    [("a", b"b")],
    [(b"a", None)],
    [(b"a", bytearray(b"b"))],
    [(b"a",)],
    [(b"a", b"b", b"c")],
    [b"ab"],
    ["ab"],
    [1],
    None,
    3,
]


@pytest.mark.parametrize("more", [{}, {"content_type": "x"}, {"a": b"new"}, {"a": 1}], ids=str)
@pytest.mark.parametrize("kind", [Headers, Own], ids=["headers", "subclass"])
@pytest.mark.parametrize("fields", MADE_OF, ids=[str(n) for n in range(len(MADE_OF))])
def test_made_as_stock(fields: Any, kind: type[Headers], more: dict[str, Any]) -> None:
    def made(fields: Any) -> object:
        try:
            return kind(fields, **more).fields
        except (TypeError, ValueError) as error:
            return type(error)

    one, other = itertools.tee(fields) if isinstance(fields, Iterator) else (fields, fields)
    stock = made(copy.copy(one))
    with trimmed():
        assert made(other) == stock


def test_undone_it_is_gone() -> None:
    before = Headers.get_all, Headers.get, Headers.__contains__
    with trimmed():
        assert Headers.get is not before[1]
    assert (Headers.get_all, Headers.get, Headers.__contains__) == before
    assert "get" not in vars(Headers), "it is inherited again"
