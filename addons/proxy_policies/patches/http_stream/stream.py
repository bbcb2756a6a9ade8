"""Replaces mitmproxy's `HttpStream`, a request and its response, with one composed of all mixins in this folder."""

from mitmproxy.proxy.layers import http as layers

from proxy_policies.patch import Patch
from proxy_policies.patches import upstream_credentials
from proxy_policies.patches.generators import in_place_of
from proxy_policies.patches.http_stream import (
    backlogs,
    clients,
    connect_responses,
    requests,
    responses,
    stored_bodies,
    streaming,
    tunnels,
    websockets,
)


class HttpExchange(
    clients.Reporting,
    backlogs.Backlogged,
    clients.ContinuesWithoutClient,
    clients.NamesCauses,
    streaming.ExchangeErrors,
    streaming.Flushing,
    requests.Retrying,
    tunnels.ConnectsFirst,
    tunnels.HalfCloses,
    responses.PolicyResponses,
    stored_bodies.StoredBodies,
    streaming.LateStreaming,
    streaming.SizeLimit,
    responses.InterimResponses,
    requests.RequestedHost,
    requests.Redialling,
    websockets.ServerlessWebSockets,
    websockets.WebSocketEnds,
    layers.HttpStream,
):
    """A request and its response. The first base is outermost."""


_MODULES = (requests, responses, streaming, stored_bodies, tunnels, websockets, clients, backlogs)
_SECTIONS = {section.mixin: section for module in _MODULES for section in module.SECTIONS}

PATCH = Patch(
    owner=layers,
    attribute="HttpStream",
    wrap=in_place_of(HttpExchange),
    seen_on="12.2.1 to 12.3.1",
    why="steps between a request and its response are wrong, or out of addons' reach",
    upstream="see its sections",
    remove_when="its last section is removed",
    test=_SECTIONS[requests.Retrying].test,
    source_sha256={"12.2.1 to 12.3.1": "7a1f2f6e3b4f7a65d10bda7d1856dafc4c9053d7db8beca2f23c7664a47e87fc"},
    companions=(connect_responses.COMPANION, upstream_credentials.COMPANION),
    sections=tuple(_SECTIONS[kind] for kind in HttpExchange.__bases__ if kind in _SECTIONS),
)
