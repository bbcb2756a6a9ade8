"""A pytest plugin that applies the bundle's changes to mitmproxy while tests run.

All except what needs a proxy with the addon `dial`: the dial, and the time limits of handshakes, whose timer would be
one more command in the tests of many layers.
"""

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.addons.save import Save
from mitmproxy.addons.savehar import SaveHar
from mitmproxy.test import taddons

from proxy_policies.patches import server_handshakes
from proxy_policies.patches.addon import PATCHES
from proxy_policies.patches.ask_early import PATCH as ASK_EARLY


def pytest_configure(config: pytest.Config) -> None:
    """Apply them before tests are collected, which import what they test."""
    server_handshakes._limit = lambda layer, handling: handling
    for patch in (*PATCHES, ASK_EARLY):
        if undo := patch.apply():
            config.add_cleanup(undo)


@pytest.fixture(autouse=True)
def with_master(request: pytest.FixtureRequest) -> None:
    """Give tests of layers the options of a running proxy: mitmproxy's own layers get theirs from their context."""
    if "/proxy/layers/" in request.node.nodeid:
        taddons.context(Proxyserver(), Save(), SaveHar())
