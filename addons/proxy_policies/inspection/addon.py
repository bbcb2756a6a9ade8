"""Opens the TLS of listed hosts, and leaves every other tunnel untouched."""

import logging
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

from mitmproxy import exceptions, http
from mitmproxy.addonmanager import Loader
from mitmproxy.addons.next_layer import NeedsMoreData
from mitmproxy.connection import Client
from mitmproxy.proxy import layer
from mitmproxy.proxy.layers import UDPLayer
from mitmproxy.proxy.layers.modes import TransparentProxy
from mitmproxy.tls import TlsData

from proxy_policies import trace
from proxy_policies.addresses import format_target
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.hook_conditions import only_if
from proxy_policies.inspection.hosts import Action, InspectionDecision, PinnedHosts, decide, parse_hosts
from proxy_policies.inspection.protocol_detection import (
    detect,
    is_decided_by_mitmproxy,
    is_dns,
    may_become_http,
    may_become_tls,
)
from proxy_policies.log_lines import Throttle
from proxy_policies.passthrough.layer import TunnelLayer
from proxy_policies.patches import ask_early
from proxy_policies.settings import Setting, parse_duration, parse_switch

logger = logging.getLogger(__name__)

NOT_TRUSTED = "Certificate verify failed"
"""Part of mitmproxy's error for a server whose certificate it does not trust."""
REFUSED = "trust the proxy's certificate"
"""Part of mitmproxy's errors for a client that rejected our certificate."""


class Inspection:
    """Decides for every new connection, in every mode, whether mitmproxy decrypts it."""

    name = "inspection"
    fast_paths = NO_OBJECTION
    inspect_hosts = Setting(
        (), parse_hosts, "Hosts whose HTTPS is decrypted, as globs for host or host:port; !glob excludes; * for all."
    )
    inspect_fail_open = Setting(
        "off",
        parse_switch,
        "Stop decrypting a host for a while after a client rejected the proxy's certificate (pinning).",
    )
    inspect_fail_open_ttl = Setting("1h", parse_duration, "How long inspect_fail_open leaves a host untouched.")

    def __init__(self) -> None:
        self._refusals = PinnedHosts()
        self._opened: WeakKeyDictionary[Client, str] = WeakKeyDictionary()
        self._undo: Callable[[], None] | None = None
        self._throttle = Throttle()

    def load(self, loader: Loader) -> None:
        """Install the patch that asks `next_layer` before any data."""
        self._undo = ask_early.PATCH.apply()

    def done(self) -> None:
        """Remove the patch."""
        if self._undo is not None:
            self._undo()

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Decide about a connection, unless mitmproxy's own options decide."""
        context = nextlayer.context
        if nextlayer.layer is not None or not context.layers:
            return
        if may_become_http(nextlayer) or may_become_tls(nextlayer):
            raise exceptions.AddonHalt
        if not ask_early.is_tunnel(context):
            return
        if context.server.address is None or is_dns(nextlayer):
            return
        if (decision := self._decision(nextlayer)) is not None:
            self._carry_out(nextlayer, decision)

    def _decision(self, nextlayer: layer.NextLayer) -> InspectionDecision | None:
        """Return our decision; None if mitmproxy's options decide. Raise AddonHalt while more data is needed."""
        try:
            decision = None if is_decided_by_mitmproxy(nextlayer) else self._decide(nextlayer)
        except NeedsMoreData:
            raise exceptions.AddonHalt from None
        except Exception:  # after an error, no connection is decrypted
            logger.exception("a connection is left untouched")
            return InspectionDecision(Action.UNTOUCHED, "inspection failed")
        if decision is not None and decision.action is Action.WAIT:
            raise exceptions.AddonHalt  # no other addon may decide yet
        return decision

    def _decide(self, nextlayer: layer.NextLayer) -> InspectionDecision:
        context = nextlayer.context
        host, port, *_ = context.server.address or ("", 0)
        seen, sni = detect(nextlayer)
        redirected = isinstance(context.layers[-1], TransparentProxy) and context.client.transport_protocol == "tcp"
        decision = decide(self.inspect_hosts, host, port, seen, sni, redirected=redirected)
        if decision.action is Action.OPEN and self.inspect_fail_open:
            now = time.time()
            if any(self._refusals.contains(name, port, now) for name in (host, sni) if name):
                return InspectionDecision(Action.UNTOUCHED, "a client refused our certificate")
        return decision

    def _carry_out(self, nextlayer: layer.NextLayer, decision: InspectionDecision) -> None:
        context = nextlayer.context
        if decision.action is Action.OPEN:
            self._opened[context.client] = decision.why
        elif context.client.transport_protocol == "udp":
            nextlayer.layer = UDPLayer(context, ignore=True)
        else:
            nextlayer.layer = TunnelLayer(context, decision.why)
            if decision.worth_logging:
                host, port, *_ = context.server.address or ("", 0)
                logger.info(f"{format_target(host, port)} is left untouched: {decision.why}")

    @only_if("_opened")
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Note on a flow why its connection was decrypted."""
        if flow.client_conn.tls and (why := self._opened.get(flow.client_conn)):
            trace.note(flow, self.name, "opened", why)

    def tls_failed_client(self, data: TlsData) -> None:
        """With inspect_fail_open, leave a host untouched whose client rejected our certificate."""
        client, address = data.context.client, data.context.server.address
        if not self.inspect_fail_open or client not in self._opened or address is None:
            return
        if REFUSED in (data.conn.error or ""):
            host, port = client.sni or address[0], address[1]
            self._refusals.note(host, port, time.time(), self.inspect_fail_open_ttl)
            target, ttl = format_target(host, port), self.inspect_fail_open_ttl
            logger.warning(f"{target} is left untouched for {ttl:g} s: a client refused our certificate")

    def tls_failed_server(self, data: TlsData) -> None:
        """Log which option is needed for a server whose certificate is of a private CA."""
        if NOT_TRUSTED in (data.conn.error or ""):
            line = f"{data.conn.sni or 'a server'} has a certificate that is not trusted; that of a private CA is with "
            line += "--set ssl_verify_upstream_trusted_ca=FILE"
            if said := self._throttle.admit(line, time.monotonic()):
                logger.info(said)
