"""Interim responses: 102 (Processing) and 103 (Early Hints) go on to the client, and the final one is waited for.

mitmproxy takes any head for the final one (mitmproxy#2229): the client gets a 103 without an
end, and hangs. `http1_client` and `http2` go on reading after one; a 100 is swallowed there:
mitmproxy has asked for the body itself already.
"""

import functools
from collections.abc import Callable

from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import ResponseHeaders

from proxy_policies.fields import Fields, RawFields
from proxy_policies.hops.connection import response_for_next_hop
from proxy_policies.patches.messages import is_interim
from proxy_policies.patches.patch import Patch

Handler = Callable[..., CommandGenerator[None]]


def for_client(fields: RawFields, status: int) -> RawFields:
    """Return the fields of an interim response that are for the client: none of framing, or for one hop only."""
    passed = Fields(fields).without(("content-length", "transfer-encoding", "trailer"))
    return response_for_next_hop(passed, status, from_proxy=False).raw


def _waiting(original: Handler) -> Handler:
    @functools.wraps(original)
    def state_wait_for_response_headers(self: HttpStream, event: ResponseHeaders) -> CommandGenerator[None]:
        response = event.response
        if is_interim(response.status_code):
            response.headers.fields = for_client(response.headers.fields, response.status_code)
            yield SendHttp(event, self.context.client)
        else:
            yield from original(self, event)

    return state_wait_for_response_headers


PATCH = Patch(
    owner=HttpStream,
    attribute="state_wait_for_response_headers",
    wrap=_waiting,
    versions="12.2",
    why="an interim response is taken for the final one, and the client hangs",
    issue="mitmproxy#2229",
)
