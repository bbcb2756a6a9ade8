"""The next proxy's response to CONNECT: some interim responses may precede it, and its head is bounded.

mitmproxy takes an interim response for a refusal, and keeps a head without an end in memory.
"""

import functools
import re
from collections.abc import Callable
from weakref import WeakKeyDictionary

from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy
from mitmproxy.utils import human

from proxy_policies.http1.framing import InterimCount
from proxy_policies.http1.response_heads import HEAD_LIMIT
from proxy_policies.patch import Companion
from proxy_policies.validity import Invalid

_BEFORE_IT = re.compile(rb"\r?\n|HTTP/1\.\d 1(?!01)\d\d[ \r\n]")
"""The beginning of what may precede a final response: an empty line, or an interim one, which 101 is not (RFC 9110,
section 15.2)."""

ReceiveHandshake = Callable[[HttpUpstreamProxy, bytes], CommandGenerator[tuple[bool, str | None]]]


def _final_only(original: ReceiveHandshake) -> ReceiveHandshake:
    counts: WeakKeyDictionary[HttpUpstreamProxy, InterimCount] = WeakKeyDictionary()

    def take_interim(proxy: HttpUpstreamProxy) -> None:
        """Remove what precedes the final response; raise Invalid if that is too much, or the final head too long."""
        count = counts.setdefault(proxy, InterimCount())
        while _BEFORE_IT.match(bytes(proxy.buf)) and proxy.buf.maybe_extract_lines() is not None:
            count.add()
        if len(proxy.buf) > HEAD_LIMIT:
            raise Invalid(f"the response head has over {HEAD_LIMIT} bytes")

    @functools.wraps(original)
    def receive_handshake_data(proxy: HttpUpstreamProxy, data: bytes) -> CommandGenerator[tuple[bool, str | None]]:
        if not proxy.send_connect:
            return (yield from original(proxy, data))
        proxy.buf += data
        try:
            take_interim(proxy)
        except Invalid as error:
            return False, f"Error connecting to {human.format_address(proxy.tunnel_connection.address)}: {error}"
        return (yield from original(proxy, b""))

    return receive_handshake_data


COMPANION = Companion(
    owner=HttpUpstreamProxy,
    attribute="receive_handshake_data",
    wrap=_final_only,
    seen_on="12.2.1 to 12.3.1",
    why="an interim response to CONNECT counts as a refusal, and a head without an end fills the memory",
    test="tests/e2e/passthrough/test_connect.py::test_what_an_upstream_proxy_may_send_before_its_answer",
    source_sha256={"12.2.1 to 12.3.1": "43231e9847e9f1c6e0c3f961ad543d0bbdf4215c3a43cb95c8327ae7561d6fb6"},
)
