"""Authorities and texts to be printed come out as from mitmproxy's own functions."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.net.http import url
from mitmproxy.utils import strutils

from proxy_policies.tuning.text_caches import LONGEST, quick_escape, remembered

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


@given(text=st.one_of(st.text(), st.binary(), st.none()), keeps=st.booleans())
def test_texts_as_stock(text: Any, keeps: bool) -> None:
    stock = outcome(strutils.escape_control_characters, text, keeps)
    assert outcome(quick_escape(strutils.escape_control_characters), text, keeps) == stock


def test_text_and_bytes_are_not_taken_for_each_other() -> None:
    quick = remembered(STOCK)
    umlauts = "bücher.example"
    for authority in (umlauts, umlauts.encode(), umlauts):
        assert quick(authority, False) == STOCK(authority, check=False)
