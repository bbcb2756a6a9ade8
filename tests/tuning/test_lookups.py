"""What is looked up for a request is as by mitmproxy's own functions."""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http, optmanager
from mitmproxy.addons.onboarding import Onboarding
from mitmproxy.http import Headers
from mitmproxy.net.http import url
from mitmproxy.test import taddons, tflow, tutils

from proxy_policies.tuning.lookups import HEADERS, LONGEST, ONBOARDING, OPTIONS, remembered

VALUES: list[tuple[Any, Any]] = [
    (bool, True),
    (int, 3),
    (str, "text"),
    (str | None, None),
    (Sequence[str], []),
    (Sequence[str], ["one", "two"]),
    (Sequence[str], ("one", "two")),
]


@pytest.mark.parametrize("is_set", [False, True], ids=["default", "set"])
@pytest.mark.parametrize(("kind", "value"), VALUES, ids=[f"{value!r}" for _, value in VALUES])
def test_options_as_stock(kind: Any, value: Any, is_set: bool) -> None:
    options = optmanager.OptManager()
    options.add_option("some", kind, value, "help")
    if is_set:
        options.update(some=value)
    stock = options.some
    undo = [undo for each in OPTIONS if (undo := each.apply())]
    assert len(undo) == len(OPTIONS)
    try:
        assert (options.some, type(options.some)) == (stock, type(stock)) == (value, type(value))
        if isinstance(options.some, list):
            options.some.append("three")
            assert options.some == value
    finally:
        for take_out in undo:
            take_out()


def test_a_list_of_lists_is_copied_throughout() -> None:
    option = optmanager._Option("some", object, [["one"]], "help", None)
    undo = [undo for each in OPTIONS if (undo := each.apply())]
    assert len(undo) == len(OPTIONS)
    try:
        option.current()[0].append("two")
        assert option.current() == [["one"]]
    finally:
        for take_out in undo:
            take_out()


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


def outcome_for_headers(look: Look, kind: type[Headers], fields: Any, key: Any) -> object:
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
def test_fields_as_stock(kind: type[Headers], look: Look, fields: list[tuple[bytes, bytes]], key: Any) -> None:
    stock = outcome_for_headers(look, kind, fields, key)
    with trimmed():
        assert outcome_for_headers(look, kind, fields, key) == stock


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
def test_headers_are_made_as_stock(fields: Any, kind: type[Headers], more: dict[str, Any]) -> None:
    def made(fields: Any) -> object:
        try:
            return kind(fields, **more).fields
        except (TypeError, ValueError) as error:
            return type(error)

    one, other = itertools.tee(fields) if isinstance(fields, Iterator) else (fields, fields)
    stock = made(copy.copy(one))
    with trimmed():
        assert made(other) == stock


def test_undone_the_headers_are_stock() -> None:
    before = Headers.get_all, Headers.get, Headers.__contains__
    with trimmed():
        assert Headers.get is not before[1]
    assert (Headers.get_all, Headers.get, Headers.__contains__) == before
    assert "get" not in vars(Headers), "it is inherited again"


STOCK: Any = url.parse_authority

AUTHORITIES = st.one_of(
    st.text(max_size=300),
    st.from_regex(r"[a-zA-Z0-9.-]{1,20}(:[0-9]{1,6})?", fullmatch=True),
    st.sampled_from(["[::1]:80", "xn--bcher-kva.example", "BÜCHER.example:1", "a:0", "a:65536", "a" * (LONGEST + 9)]),
)


def outcome(function: Any, *arguments: Any) -> object:
    try:
        return function(*arguments)
    except Exception as error:
        return repr(error)


@given(text=AUTHORITIES, is_bytes=st.booleans(), check=st.booleans())
def test_authorities_as_stock(text: str, is_bytes: bool, check: bool) -> None:
    authority = text.encode("utf-8", "surrogatepass") if is_bytes else text
    stock = outcome(STOCK, authority, check)
    quick = remembered(STOCK)
    assert [outcome(quick, authority, check) for _ in range(2)] == [stock, stock]


def test_text_and_bytes_are_not_taken_for_each_other() -> None:
    quick = remembered(STOCK)
    umlauts = "bücher.example"
    for authority in (umlauts, umlauts.encode(), umlauts):
        assert quick(authority, False) == STOCK(authority, check=False)


def flow(host: str, change: Callable[[http.HTTPFlow], object] = lambda flow: None) -> http.HTTPFlow:
    made = tflow.tflow(req=tutils.treq(host=host, port=80, headers=((b"Host", host.encode()),), path=b"/"))
    made.live = True
    change(made)
    return made


FLOWS = {
    "the page": lambda: flow("mitm.it"),
    "another port": lambda: flow("mitm.it", lambda made: setattr(made.request, "port", 8080)),
    "another host": lambda: flow("a.test"),
    "answered": lambda: flow("mitm.it", lambda made: setattr(made, "response", tutils.tresp(content=b"ours"))),
    "not live": lambda: flow("mitm.it", lambda made: setattr(made, "live", False)),
}


async def served(made: http.HTTPFlow, onboarding: bool) -> tuple[int, bytes | None] | None:
    with taddons.context(addon := Onboarding()) as context:
        context.configure(addon, onboarding=onboarding)
        waiting = addon.request(made)
        if inspect.isawaitable(waiting):
            await waiting
    response = made.response
    return None if response is None else (response.status_code, response.content)


@pytest.mark.parametrize("onboarding", [True, False])
@pytest.mark.parametrize("name", FLOWS)
async def test_the_page_is_served_as_before(name: str, onboarding: bool) -> None:
    before = await served(FLOWS[name](), onboarding)
    assert bool(before) is (name == "answered" or (onboarding and name in ("the page", "another port")))
    undo = ONBOARDING.apply()
    assert undo
    try:
        assert await served(FLOWS[name](), onboarding) == before
    finally:
        undo()


def test_no_task_is_needed_for_another_host() -> None:
    undo = ONBOARDING.apply()
    assert undo
    try:
        with taddons.context(addon := Onboarding()):
            assert addon.request(flow("a.test")) is None
    finally:
        undo()
