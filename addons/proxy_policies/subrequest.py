"""Sends requests that the proxy itself makes, to refresh stale entries or to fetch again.

Such a request passes through all addons, TLS verification and upstream proxies, like mitmproxy's client replay, whose
connection handler is used (`addons.clientplayback.ReplayHandler` in mitmproxy 12.2). Its response only passes through
the addons, so that the cache may store it.
"""

import asyncio
import logging
from weakref import WeakKeyDictionary

from mitmproxy import ctx, http
from mitmproxy.flow import Flow

from proxy_policies.fields import Fields

logger = logging.getLogger(__name__)

TIMEOUT = 60.0
"""Seconds after which an unanswered request of our own is abandoned: nginx's proxy_read_timeout."""

_own: WeakKeyDictionary[Flow, tuple[str, http.HTTPFlow]] = WeakKeyDictionary()


def purpose(flow: Flow) -> str:
    """Return the purpose of a flow of our own, which is a replay; empty for any other."""
    return _own[flow][0] if flow in _own else ""


def template(flow: Flow) -> http.HTTPFlow | None:
    """Return the flow from which a flow of our own was derived; None for any other."""
    return _own[flow][1] if flow in _own else None


async def send(template: http.HTTPFlow, fields: Fields, purpose: str, timeout: float = TIMEOUT) -> http.HTTPFlow | None:
    """Send a GET derived from another flow, with other fields; return its flow once it is answered or has failed.

    None when it could not be sent or took longer than `timeout` seconds.
    """
    handler_type = _handler_type()
    if handler_type is None:
        return None
    flow = _copy(template, fields)
    _own[flow] = purpose, template
    try:
        async with asyncio.timeout(timeout):
            await handler_type(flow, ctx.options).replay()
    except TimeoutError:
        logger.info(f"{purpose} of {flow.request.pretty_url}: no answer within {timeout:.0f} s")
        return None
    return flow


def _handler_type() -> type | None:
    try:
        from mitmproxy.addons.clientplayback import ReplayHandler
    except ImportError:  # pragma: no cover
        logger.warning("this mitmproxy has no ReplayHandler: stale responses are not refreshed in the background")
        return None
    return ReplayHandler


def _copy(template: http.HTTPFlow, fields: Fields) -> http.HTTPFlow:
    flow = http.HTTPFlow(template.client_conn, template.server_conn.copy(), True)
    flow.request = template.request.copy()
    flow.request.method = "GET"  # the original request may be a HEAD
    flow.request.headers = http.Headers(fields.raw)
    flow.request.stream = False
    flow.is_replay = "request"
    return flow
