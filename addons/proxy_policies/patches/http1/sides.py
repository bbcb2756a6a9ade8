"""Replaces mitmproxy's HTTP/1 sides with ours."""

from mitmproxy.proxy.layers import http as layers

from proxy_policies.patch import Patch
from proxy_policies.patches.generators import in_place_of
from proxy_policies.patches.http1.client_side import Http1ClientSide
from proxy_policies.patches.http1.origin_side import Http1OriginSide

PATCHES = (
    Patch(
        owner=layers,
        attribute="Http1Server",
        wrap=in_place_of(Http1ClientSide),
        seen_on="12.2.1 to 12.3.1",
        why="framing and persistence towards clients depend on addons' edits; oversized heads and trailers hang",
        upstream=(
            "not reported, except trailers (https://github.com/mitmproxy/mitmproxy/issues/2474): in mitmdump, "
            "`curl --http1.0 -H 'Connection: Keep-Alive'` twice on one connection is answered once"
        ),
        remove_when=(
            "mitmproxy decides framing and persistence from what was received and sent, bounds heads, and passes on "
            "trailers"
        ),
        test="tests/e2e/reverse/test_reverse.py::test_persistence_follows_the_request_alone",
        source_sha256={"12.2.1 to 12.3.1": "b9fbe8dc5d3c20ad92f37262ee85a61c6222b779a99f49721502c1abf9df8c9b"},
    ),
    Patch(
        owner=layers,
        attribute="Http1Client",
        wrap=in_place_of(Http1OriginSide),
        seen_on="12.2.1 to 12.3.1",
        why="framing, persistence and version towards origins depend on addons' edits; trailers hang; a connection "
        "that died while idle looks like a refusal",
        upstream=(
            "https://github.com/mitmproxy/mitmproxy/issues/2474 (trailers), "
            "https://github.com/mitmproxy/mitmproxy/issues/3038 (stale connections)"
        ),
        remove_when=(
            "mitmproxy sends its own version to origins, frames requests by what it sends, and reads trailers"
        ),
        test="tests/e2e/messages/test_malformed.py::test_trailers_pass_both_ways",
        source_sha256={"12.2.1 to 12.3.1": "a59d033d7263ebecfe64da5d4e85d929905341feabe9b9f7ff147fe30a31fa1b"},
    ),
)
