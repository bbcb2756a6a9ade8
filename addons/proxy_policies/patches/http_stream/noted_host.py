"""A request whose host is noted as the client sent it, before mitmproxy overwrites it."""

from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpStream
from mitmproxy.proxy.layers.http._events import RequestHeaders

from proxy_policies.asked_host import note
from proxy_policies.patches.patch import Section


class Noting(HttpStream):
    """A request, whose host is noted first."""

    def state_wait_for_request_headers(self, event: RequestHeaders) -> CommandGenerator[None]:
        """Take the request's head."""
        note(event.request)
        yield from super().state_wait_for_request_headers(event)


SECTION = Section(
    mixin=Noting,
    why="X-Forwarded-Host and Forwarded name the origin instead of the host the client asked for",
    upstream=(
        "not reported, a feature: in reverse mode `host_header` is the origin's in the first hook that sees the request"
    ),
    remove_when="mitmproxy keeps the host that the client asked for, or overwrites it after `requestheaders`",
    test="tests/e2e/hops/test_hops.py::test_a_reverse_proxy_tells_whom_a_request_is_from",
)
