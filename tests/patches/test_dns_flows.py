"""A flow for every question to a name server, which the list of flows can forget once another follows."""

from mitmproxy import dns
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import DNSLayer
from mitmproxy.test import tflow, tutils

from proxy_policies.patches.dns_flows import COMPANION


def test_a_flow_ends_when_the_id_of_its_question_is_used_again() -> None:
    handled = list[dns.DNSFlow]()

    def answer(_: DNSLayer, flow: dns.DNSFlow, question: dns.DNSMessage) -> CommandGenerator[None]:
        flow.response = question
        handled.append(flow)
        yield from ()

    layer, question = DNSLayer(Context(tflow.tclient_conn(), Options())), tutils.tdnsreq()
    layer.flows[question.id] = dns.DNSFlow(layer.context.client, layer.context.server, live=True)
    for _ in range(2):
        list(COMPANION.wrap(answer)(layer, layer.flows[question.id], question))
    assert [flow.live for flow in handled] == [False, True]
