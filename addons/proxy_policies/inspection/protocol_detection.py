"""Detects the protocol of a new connection, and whether mitmproxy's own options decide. Tested with mitmproxy 12.2."""

from mitmproxy import ctx
from mitmproxy.addons import next_layer
from mitmproxy.addons.next_layer import NeedsMoreData, NextLayer
from mitmproxy.proxy import layer
from mitmproxy.proxy.layers.tls import ClientTLSLayer

from proxy_policies.inspection.hosts import Protocol, detect_http
from proxy_policies.patches.ask_early import is_at_end
from proxy_policies.patches.client_hellos import may_start_tls, starts_dtls, starts_tls


def is_dns(nextlayer: layer.NextLayer) -> bool:
    """Return whether a datagram is sent to a name server; mitmproxy handles those."""
    address = nextlayer.context.server.address
    return nextlayer.context.client.transport_protocol == "udp" and address is not None and address[1] in (53, 5353)


def may_become_tls(nextlayer: layer.NextLayer) -> bool:
    """Return whether a client's data so far may be the beginning of TLS with the proxy itself.

    mitmproxy would take one or two bytes alone for plain HTTP, and wait for the rest without limit.
    """
    is_first = len(nextlayer.context.layers) == 1 and nextlayer.context.client.transport_protocol == "tcp"
    data = nextlayer.data_client()
    return is_first and data[:1] == b"\x16" and len(data) < 3 and not is_at_end(nextlayer)


def may_become_http(nextlayer: layer.NextLayer) -> bool:
    """Return whether the data so far inside TLS may be the beginning of HTTP.

    mitmproxy would take an incomplete request line for another protocol, and no policy would see the request.
    """
    context = nextlayer.context
    if not isinstance(context.layers[-1], ClientTLSLayer) or context.client.alpn or nextlayer.data_server():
        return False
    data = nextlayer.data_client()
    return bool(data) and detect_http(data) is Protocol.NOTHING


def is_decided_by_mitmproxy(nextlayer: layer.NextLayer) -> bool:
    """Return whether ignore_hosts, allow_hosts or tcp_hosts decide about the connection. Raise NeedsMoreData."""
    options, theirs = ctx.options, ctx.master.addons.get("nextlayer")
    if not (options.ignore_hosts or options.allow_hosts or options.tcp_hosts) or theirs is None:
        return False
    to_server, to_client = nextlayer.data_client(), nextlayer.data_server()
    if not to_server and not to_client:
        raise NeedsMoreData
    if theirs._ignore_connection(nextlayer.context, to_server, to_client) or options.allow_hosts:
        return True
    return bool(theirs._is_destination_in_hosts(nextlayer.context, theirs.tcp_hosts))


def detect(nextlayer: layer.NextLayer) -> tuple[Protocol, str | None]:
    """Return the protocol of a new connection, and the SNI if it is TLS. Raise NeedsMoreData."""
    try:
        seen, sni = _detect(nextlayer)
    except NeedsMoreData:
        if not is_at_end(nextlayer):
            raise
        seen, sni = Protocol.NOTHING, None
    return (Protocol.OTHER if seen is Protocol.NOTHING and is_at_end(nextlayer) else seen), sni


def _detect(nextlayer: layer.NextLayer) -> tuple[Protocol, str | None]:
    data = nextlayer.data_client()
    if nextlayer.data_server():
        return Protocol.SERVER, None
    if not data:
        return Protocol.NOTHING, None
    if hello := NextLayer._get_client_hello(nextlayer.context, data):
        return Protocol.TLS, hello.sni
    transport = nextlayer.context.client.transport_protocol
    if transport == "tcp" and may_start_tls(data):
        return Protocol.NOTHING, None
    if _starts_like_handshake(data, transport):
        return Protocol.UNREADABLE, None  # such as one after an empty record, which servers skip
    return detect_http(data), None


def _starts_like_handshake(data: bytes, transport: str) -> bool:
    """Return whether data starts like TLS, or a datagram like DTLS or a QUIC long header (RFC 9000, section 17.2)."""
    if transport == "tcp":
        return starts_tls(data)
    return starts_dtls(data) or next_layer._starts_like_quic(data, None)
