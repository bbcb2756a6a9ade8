"""Interim responses: 102 (Processing) and 103 (Early Hints) go on to the client, and the final one is waited for.

mitmproxy takes any head for the final one (mitmproxy#2229): the client gets a 103 without an
end, and hangs. `http1/client.py` and `http2/sides.py` go on reading after one; a 100 is swallowed there:
mitmproxy has asked for the body itself already.
"""

from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import ResponseHeaders

from proxy_policies.hops.connection import interim_for_next_hop
from proxy_policies.http1.framing import is_interim
from proxy_policies.patches.patch import Section


class PassingOn(HttpStream):
    """A request and its responses."""

    def state_wait_for_response_headers(self, event: ResponseHeaders) -> CommandGenerator[None]:
        """Pass an interim response on, and go on waiting for the final one."""
        response = event.response
        if is_interim(response.status_code):
            response.headers.fields = interim_for_next_hop(response.headers.fields, response.status_code)
            yield SendHttp(event, self.context.client)
        else:
            yield from super().state_wait_for_response_headers(event)


SECTION = Section(
    mixin=PassingOn,
    why="an interim response is taken for the final one, and the client hangs",
    upstream="https://github.com/mitmproxy/mitmproxy/issues/2229",
    remove_when="mitmproxy passes 1xx responses on, on every version (RFC 9110, section 15.2)",
    test="tests/e2e/cache/test_interim.py::test_interim_responses",
)
