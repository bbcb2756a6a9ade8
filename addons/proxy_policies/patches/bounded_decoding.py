"""Bounds the decoding of bodies that unpack to much more than was sent.

mitmproxy decodes without a bound, in the event loop: for `content` and `text`, which scripts and its own addons use,
and for every content view, used by mitmdump's `flow_detail=3`, the console and mitmweb. A body beyond the bound counts
as undecodable: it remains available as `raw_content`, and is passed on as received.
"""

import codecs
import functools
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mitmproxy import contentviews, ctx
from mitmproxy.contentviews import ContentviewResult, Metadata
from mitmproxy.contentviews._utils import get_data, make_metadata
from mitmproxy.contentviews._view_raw import raw
from mitmproxy.net import encoding
from mitmproxy.utils import strutils

from proxy_policies import decoding
from proxy_policies.patch import Companion, Patch

MAX_CONTENT = 256 << 20
"""Bytes to which a body is decoded for a script; a buffered one takes twice that in memory."""
MAX_VIEW = 1 << 20
"""Bytes passed to a content view: larger bodies are streamed, and not shown completely either."""
BOUNDED = frozenset({"policy"})
"""Views that bound what they show themselves."""
MAX_PRINT = 32 << 10
"""Bytes of a body that mitmdump prints: highlighting takes a kilobyte of memory for each, in up to 512 lines."""
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
"""Window bits with which zlib accepts both gzip and its own format, as in mitmproxy."""
UNDECODABLE = "[cannot decode]"
"""mitmproxy's note on a body that it could not decode."""
DECOMPRESSING = frozenset({"zlib", "bz2"})
"""Python codecs that decompress; mitmproxy accepts any Python codec as a content coding."""


@dataclass(slots=True)
class _Bound:
    """How many bytes to decode at most; a caller may lower it temporarily."""

    limit: int

    @contextmanager
    def lowered(self, limit: int) -> Iterator[None]:
        before, self.limit = self.limit, limit
        try:
            yield
        finally:
            self.limit = before


_content = _Bound(MAX_CONTENT)


def _ungzip(content: bytes) -> bytes:
    """Decode the first member, truncated or not, as mitmproxy does."""
    return _within(zlib.decompressobj(GZIP_OR_ZLIB).decompress(content, _content.limit + 1)) if content else b""


def _undeflate(content: bytes) -> bytes:
    try:
        return decoding.decode_all(content, "deflate", _content.limit)
    except decoding.TooLarge:
        raise
    except ValueError:
        return _within(zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, _content.limit + 1))


def _within(content: bytes) -> bytes:
    if len(content) > _content.limit:
        raise decoding.TooLarge(f"more than {_content.limit} bytes")
    return content


class _Decoders(dict[str, Callable[[bytes], bytes]]):
    """mitmproxy's table of decoders, including ours; for missing codings mitmproxy tries Python's codecs."""

    def __missing__(self, coding: str) -> Callable[[bytes], bytes]:
        if codecs.lookup(coding).name in DECOMPRESSING:
            raise ValueError(f"unknown coding {coding!r}")
        raise KeyError(coding)


def _decoders(original: dict[str, Callable[[bytes], bytes]]) -> _Decoders:
    return _Decoders(
        original,
        gzip=_ungzip,
        deflate=_undeflate,
        deflateraw=_undeflate,
        br=lambda content: decoding.decode_all(content, "br", _content.limit),
        zstd=lambda content: decoding.decode_all(content, "zstd", _content.limit),
    )


def _with_bounded_views(original: Callable[..., ContentviewResult]) -> Callable[..., ContentviewResult]:
    """Show only the raw beginning of a body beyond the bound: many views would read the whole message."""

    @functools.wraps(original)
    def prettify_message(message: Any, flow: Any, view_name: str = "auto", *rest: Any, **named: Any) -> Any:
        bound = _view_bound()
        with _content.lowered(bound):
            data, how = get_data(message)
            is_shown = data is None or (len(data) <= bound and how != UNDECODABLE)
            if data is None or is_shown or _is_bounded(view_name, message, flow):
                return original(message, flow, view_name, *rest, **named)
            return _beginning(data, bound, how)

    return prettify_message


def _is_bounded(view_name: str, message: Any, flow: Any) -> bool:
    """Return whether the view that shows a message, whatever its content, bounds its own output."""
    if view_name.lower() == "auto":
        view_name = contentviews.registry.get_view(b"", make_metadata(message, flow)).name
    return view_name.lower() in BOUNDED


def _view_bound() -> int:
    """Return how many bytes to show: mitmdump's dumper prints everything it is given."""
    return MAX_PRINT if ctx.master.addons.get("dumper") else MAX_VIEW


def _beginning(data: bytes, bound: int, how: str) -> ContentviewResult:
    text = strutils.escape_control_characters(raw.prettify(data[:bound], Metadata()))
    cut = f"[the first {bound} of {len(data)} bytes]" if len(data) > bound else ""
    return ContentviewResult(text, raw.syntax_highlight, raw.name, how + cut)


def _only_if_complete(original: Callable[..., bytes]) -> Callable[..., bytes]:
    """Refuse to save an edited body of which only the beginning was shown."""

    @functools.wraps(original)
    def reencode_message(prettified: str, message: Any, *rest: Any) -> bytes:
        bound = _view_bound()
        with _content.lowered(bound):
            data, how = get_data(message)
            if how == UNDECODABLE or len(data or b"") > bound:
                raise ValueError(f"cannot save it: not all of it was shown, only up to {bound} bytes")
        return original(prettified, message, *rest)

    return reencode_message


PATCH = Patch(
    owner=encoding,
    attribute="custom_decode",
    wrap=_decoders,
    seen_on="12.2.1 to 12.3.1",
    why="a small body that unpacks to a huge one uses up all memory, and blocks the event loop for seconds",
    upstream="https://github.com/mitmproxy/mitmproxy/pull/7964",
    remove_when="decoding in `flow.response.content` is bounded",
    test="tests/patches/test_bounded_decoding.py::test_a_script_gets_no_bomb",
    source_sha256={"12.2.1 to 12.3.1": "dbdd0b6fc0c0d2ed43e189de0d7329847ddaa07859b27dd06cebe5f2274e7c37"},
    replaced=(encoding.decode,),
    companions=(
        Companion(
            owner=contentviews,
            attribute="prettify_message",
            wrap=_with_bounded_views,
            seen_on="12.2.1 to 12.3.1",
            why="the same when a body is shown",
            test="tests/patches/test_bounded_decoding.py::test_a_content_view_gets_little",
            source_sha256={"12.2.1 to 12.3.1": "5b6872aba7f88b157dc9e8eeaa89a35c69c94f0af38cf75c996cf1f05f513407"},
        ),
        Companion(
            owner=contentviews,
            attribute="reencode_message",
            wrap=_only_if_complete,
            seen_on="12.2.1 to 12.3.1",
            why="editing a body of which only the beginning is shown would discard the rest",
            test="tests/patches/test_bounded_decoding.py::test_what_was_not_shown_whole_is_not_edited",
            source_sha256={"12.2.1 to 12.3.1": "266ab1b5262a043ca18ecf1584278c4cd5a19860e08f6cdbce2eceda092af6f7"},
        ),
    ),
)
