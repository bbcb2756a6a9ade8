"""Bodies and messages that unpack to much more than was sent: whoever looks at them gets no more than a bound.

mitmproxy undoes content codings without one, in the event loop: for `content` and `text`, which scripts and its own
addons use, and for every content view, which mitmdump's `flow_detail=3`, the console and mitmweb use. A body beyond the
bound is one that cannot be decoded: `raw_content` has it still, and it is passed on as it came.
"""

import codecs
import functools
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mitmproxy import contentviews
from mitmproxy.addons.dumper import Dumper
from mitmproxy.net import encoding
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason

from proxy_policies import decoding
from proxy_policies.patches.patch import Patch

CONTENT_MOST = 256 << 20
"""Octets that a decoded body has at most for a script: a buffered one takes twice that in memory."""
VIEW_MOST = 1 << 20
"""Octets that a content view is given: beyond them bodies are streamed, and not shown whole either."""
OF_NO_CONTENT = frozenset({"policy"})
"""Views that look at the flow alone."""
PRINT_MOST = 32 << 10
"""Octets that mitmdump prints of a body: it takes a kilobyte of memory to highlight each, for 512 lines."""
MESSAGE_MOST = 100 << 20
"""Octets that a compressed WebSocket message has at most: what the widespread library `ws` allows."""
EITHER = 32 + zlib.MAX_WBITS
"""Window bits by which zlib takes gzip and its own format alike, as mitmproxy does."""
INFLATING = frozenset({"zlib", "bz2"})
"""Python's own codecs that unpack; mitmproxy takes any codec of Python's for a content coding."""


@dataclass(slots=True)
class _Bound:
    """How much may be made, which a caller may lower for a while."""

    most: int

    @contextmanager
    def lowered(self, most: int) -> Iterator[None]:
        before, self.most = self.most, most
        try:
            yield
        finally:
            self.most = before


_content, _view = _Bound(CONTENT_MOST), _Bound(VIEW_MOST)


def _ungzip(content: bytes) -> bytes:
    """Undo the first member, cut short or not, as mitmproxy does."""
    return _within(zlib.decompressobj(EITHER).decompress(content, _content.most + 1)) if content else b""


def _undeflate(content: bytes) -> bytes:
    try:
        return decoding.undo(content, "deflate", _content.most)
    except decoding.TooLarge:
        raise
    except ValueError:
        return _within(zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, _content.most + 1))


def _within(content: bytes) -> bytes:
    if len(content) > _content.most:
        raise decoding.TooLarge(f"more than {_content.most} octets")
    return content


class _Decoders(dict[str, Callable[[bytes], bytes]]):
    """mitmproxy's table of decoders, with ours in it; what it lacks mitmproxy asks Python's codecs for."""

    def __missing__(self, coding: str) -> Callable[[bytes], bytes]:
        if codecs.lookup(coding).name in INFLATING:
            raise ValueError(f"unknown coding {coding!r}")
        raise KeyError(coding)


def _decoders(original: dict[str, Callable[[bytes], bytes]]) -> _Decoders:
    return _Decoders(
        original,
        gzip=_ungzip,
        deflate=_undeflate,
        deflateraw=_undeflate,
        br=lambda content: decoding.undo(content, "br", _content.most),
        zstd=lambda content: decoding.undo(content, "zstd", _content.most),
    )


def _cut(original: Callable[[Any], tuple[bytes | None, str]]) -> Callable[[Any], tuple[bytes | None, str]]:
    @functools.wraps(original)
    def get_data(message: Any) -> tuple[bytes | None, str]:
        data, how = original(message)
        if data is None or len(data) <= _view.most:
            return data, how
        return data[: _view.most], f"{how}[the first {_view.most} of {len(data)} bytes]"

    return get_data


def _shown(original: Callable[..., Any]) -> Callable[..., Any]:
    """Show what is beyond the bound as raw: many views go back from the octets they are given to the message's text."""

    @functools.wraps(original)
    def prettify_message(message: Any, flow: Any, view_name: str = "auto", *rest: Any, **named: Any) -> Any:
        with _content.lowered(_view.most):
            name = "raw" if view_name.lower() not in OF_NO_CONTENT and _is_beyond(message) else view_name
            return original(message, flow, name, *rest, **named)

    return prettify_message


def _is_beyond(message: Any) -> bool:
    try:
        return len(message.content or b"") > _view.most
    except ValueError:
        return True


def _printed(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def echo_message(self: Dumper, message: Any, flow: Any) -> None:
        with _view.lowered(PRINT_MOST):
            original(self, message, flow)

    return echo_message


def _edited(original: Callable[..., bytes]) -> Callable[..., bytes]:
    @functools.wraps(original)
    def reencode_message(prettified: str, message: Any, *rest: Any) -> bytes:
        with _content.lowered(_view.most):
            if _is_beyond(message):
                raise ValueError(f"not all of it was shown: over {_view.most} bytes")
        return original(prettified, message, *rest)

    return reencode_message


def _inflated(original: Callable[..., bytes | CloseReason]) -> Callable[..., bytes | CloseReason]:
    @functools.wraps(original)
    def frame_inbound_payload_data(self: Any, proto: Any, data: bytes) -> bytes | CloseReason:
        if not self._inbound_compressed or not self._inbound_is_compressible:
            return original(self, proto, data)
        room = MESSAGE_MOST - getattr(self, "made", 0)
        try:
            content: bytes = self._decompressor.decompress(bytes(data), room + 1)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self.made = MESSAGE_MOST - room + len(content)
        return content if len(content) <= room else CloseReason.MESSAGE_TOO_BIG

    return frame_inbound_payload_data


def _completed(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def frame_inbound_complete(self: Any, proto: Any, fin: bool) -> Any:
        if fin and self._inbound_is_compressible:
            self.made = 0
        return original(self, proto, fin)

    return frame_inbound_complete


def _patch(owner: Any, attribute: str, wrap: Callable[[Any], Any], what: str) -> Patch:
    why = f"{what} of little that unpacks to much takes all memory, and the event loop for seconds"
    return Patch(owner=owner, attribute=attribute, wrap=wrap, versions="12.2, 12.3", why=why)


PATCHES = (
    _patch(encoding, "custom_decode", _decoders, "a body"),
    _patch(contentviews, "get_data", _cut, "a content view"),
    _patch(contentviews, "prettify_message", _shown, "a content view"),
    _patch(Dumper, "_echo_message", _printed, "a printed body"),
    _patch(contentviews, "reencode_message", _edited, "a content view"),
    _patch(PerMessageDeflate, "frame_inbound_payload_data", _inflated, "a WebSocket message"),
    _patch(PerMessageDeflate, "frame_inbound_complete", _completed, "a WebSocket message"),
)
