"""Fields that policies add, `Via` say, become lower-case on HTTP/2 without a log line for each."""

from collections.abc import Callable

from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import _http2

from proxy_policies.patches.patch import Patch

RawFields = list[tuple[bytes, bytes]]


def _quietly(original: Callable[[RawFields], CommandGenerator[None]]) -> Callable[[RawFields], CommandGenerator[None]]:
    def normalize_h2_headers(headers: RawFields) -> CommandGenerator[None]:
        headers[:] = [(name.lower(), value) for name, value in headers]
        yield from original(headers)

    return normalize_h2_headers


PATCH = Patch(
    owner=_http2,
    attribute="normalize_h2_headers",
    wrap=_quietly,
    versions="12.2",
    why="mitmproxy logs a line for every field with a capital that goes out over HTTP/2",
)
