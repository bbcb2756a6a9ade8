"""What of a flow its target is made of."""

import pytest
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import tflow

from proxy_policies.cache.rfc9111.key import OWN, key_of
from proxy_policies.cache.rules import NO_EFFECTS, effects_for, parse_cache_rule
from proxy_policies.cache.transactions import key_of_flow, target_of
from proxy_policies.fields import fields_of
from proxy_policies.flows import flow_state
from proxy_policies.rules import parse_rule

NAMES: list[tuple[str, str | None, str | None, tuple[str, int] | None, str]] = [
    ("the client's", None, "evil.test", ("shop.test", 443), "https://shop.test/path sni=evil.test"),
    ("as it is named", None, "shop.test", ("shop.test", 443), "https://shop.test/path"),
    ("reverse mode's", "shop.test", "evil.test", ("shop.test", 443), "https://shop.test/path"),
    ("that of a TLS proxy", None, "proxy.test", None, "https://shop.test/path"),
    ("of another server", "other.test", "proxy.test", ("other.test", 443), "https://shop.test/path"),
]


@pytest.mark.parametrize(("own", "clients", "address", "key"), [c[1:] for c in NAMES], ids=[c[0] for c in NAMES])
def test_the_name_that_tls_tells_the_origin(
    own: str | None, clients: str | None, address: tuple[str, int] | None, key: str
) -> None:
    flow = tflow.tflow()
    flow.request.scheme, flow.request.host, flow.request.port = "https", "shop.test", 443
    flow.request.headers["Host"] = "shop.test"
    flow.client_conn.sni = clients
    flow.server_conn.state = ConnectionState.CLOSED  # the address of an open one is for good
    flow.server_conn.address, flow.server_conn.sni = address, own
    assert key_of(target_of(flow)) == key


def test_reverse_mode_alone_tells_the_clients_scheme_from_the_origins() -> None:
    flow = tflow.tflow()
    flow.request.scheme, flow.request.host, flow.request.port = "https", "10.0.0.1", 443
    flow.request.headers["Host"] = "shop.test"
    flow.server_conn.sni = None
    flow.client_conn.tls = False
    assert key_of(target_of(flow)) == "https://shop.test/path via 10.0.0.1"
    flow.client_conn.proxy_mode = ProxyMode.parse("reverse:https://10.0.0.1")
    assert key_of(target_of(flow)) == "http://shop.test/path via https://10.0.0.1"


def test_in_a_key_the_fields_that_we_add_come_after_what_rules_add() -> None:
    flow = tflow.tflow()
    flow_state.state_of(flow).received = fields_of(flow.request.headers)
    flow.request.headers["X"] = "1"
    flow.request.headers["Via"] = "1.1 a.test"
    flow.request.headers["Authorization"] = "Bearer a"
    effects = effects_for([parse_cache_rule(parse_rule("//key-header=X"))], lambda rule: True)
    target = target_of(flow)
    plain, ruled = (key_of_flow(flow, target, one) for one in (NO_EFFECTS, effects))
    key, own = plain.partition(OWN)[::2]
    assert own
    assert ruled == f"{key} x=1{OWN}{own}"
