"""A flow for every question to a name server.

mitmproxy keeps a connection's flows by the ids of their questions: one whose id was used before is answered with the
earlier answer, whatever it asks for.
"""

import functools
from collections.abc import Callable

from mitmproxy import dns
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import DNSLayer

from proxy_policies.patch import Companion

Handle = Callable[[DNSLayer, dns.DNSFlow, dns.DNSMessage], CommandGenerator[None]]


def _with_own_flow(original: Handle) -> Handle:
    @functools.wraps(original)
    def handle_request(layer: DNSLayer, flow: dns.DNSFlow, question: dns.DNSMessage) -> CommandGenerator[None]:
        if flow.response or flow.error:
            flow.live = False  # the layer, which ends flows with their connection, forgets it
            flow = layer.flows[question.id] = dns.DNSFlow(layer.context.client, layer.context.server, live=True)
        yield from original(layer, flow, question)

    return handle_request


COMPANION = Companion(
    owner=DNSLayer,
    attribute="handle_request",
    wrap=_with_own_flow,
    seen_on="12.2.1 to 12.3.1",
    why="a question to a name server whose id was used before on its connection gets the earlier answer",
    test="tests/e2e/limits/test_names.py::test_a_question_with_an_id_used_before",
    source_sha256={"12.2.1 to 12.3.1": "e8e8d5ca588996dfc26a65a183a5e332d533206660f9207b00c21249c0403fd5"},
)
