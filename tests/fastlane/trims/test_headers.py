"""Header fields are found as by mitmproxy's own functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.http import Headers

from proxy_policies.fastlane.trims.headers import HEADERS

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


def test_undone_it_is_gone() -> None:
    before = Headers.get_all, Headers.get, Headers.__contains__
    with trimmed():
        assert Headers.get is not before[1]
    assert (Headers.get_all, Headers.get, Headers.__contains__) == before
    assert "get" not in vars(Headers), "it is inherited again"
