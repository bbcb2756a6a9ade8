"""The encoding policy: compresses responses for the clients that accept it."""

from collections.abc import Awaitable

from mitmproxy import http

from proxy_policies import exchange, trace
from proxy_policies.body import Replace, Stage
from proxy_policies.encoding.decision import MATCHED, Decision, Subject, Wishes, decide
from proxy_policies.encoding.heads import encoded, varying
from proxy_policies.encoding.tags import CONDITIONS, Weakened, names_weakly
from proxy_policies.encoding.types import TEXT_LIKE, parse_types
from proxy_policies.encoding.wishes import parse_codings, read_rule
from proxy_policies.fields import Fields
from proxy_policies.later import later
from proxy_policies.patches.asked_host import asked_host
from proxy_policies.rules import parse_rules
from proxy_policies.settings import Setting, parse_size
from proxy_policies.streaming import declared_length, is_endless

with later():
    from proxy_policies.encoding import codecs

_weakened = Weakened()
"""Shared by the two below, which stand on either side of the cache."""


class EntityTags:
    """Before the cache: gives entity tags that we made weak back as the origin knows them."""

    name = "entity-tags"

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Undo in the conditions of a request what `Encoding` did to the tags."""
        if flow.response or flow.error:
            return
        fields = Fields(flow.request.headers.fields)
        if any(name in fields for name in CONDITIONS):
            flow.request.headers.fields = _weakened.restore(fields, asked_host(flow.request)).raw


class Encoding:
    """After the cache: compresses what came plain, from the origin or from the cache."""

    name = "encoding"

    encode = Setting(
        ("zstd", "br", "gzip"),
        parse_codings,
        "Content codings for responses that came plain, best liked first: zstd, br, gzip, deflate; off turns it off.",
    )
    encode_min_size = Setting("1k", parse_size, "Smallest body worth encoding, such as 1k.")
    encode_types = Setting(TEXT_LIKE, parse_types, "Globs over the media types worth encoding; ! before one excludes.")
    encode_rules = Setting(
        (), parse_rules(read_rule), "Encoding for some flows: /flow-filter/off or /flow-filter/gzip; the first counts."
    )

    def responseheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Decide, change the head, and put the encoder into the body's pipeline."""
        response = flow.response
        if response is None:
            return None
        fields = Fields(response.headers.fields)
        subject = Subject(Fields(flow.request.headers.fields), response.status_code, fields, declared_length(response))
        decision = decide(subject, self._wishes(flow))
        if decision.varies:
            fields = varying(fields)
        if decision.encodes:
            fields = encoded(fields, decision.coding)
        if decision.encodes or _confirms_ours(flow, response):
            fields = _weakened.weaken(fields, asked_host(flow.request))
        response.headers.fields = fields.raw
        if decision.encodes:
            return self._encode(flow, response, decision)
        trace.note(flow, self.name, decision.coding, decision.why)
        return None

    async def _encode(self, flow: http.HTTPFlow, response: http.Response, decision: Decision) -> None:
        was_kept = await _encode(flow, response, decision.coding)
        why = f"{decision.why}, and it was kept" if was_kept else decision.why
        trace.note(flow, self.name, decision.coding, why)

    def _wishes(self, flow: http.HTTPFlow) -> Wishes:
        ruled = next((rule.codings for rule in self.encode_rules if rule.rule.matches(flow)), self.encode)
        return Wishes(ruled, self.encode_min_size, self.encode_types)


async def _encode(flow: http.HTTPFlow, response: http.Response, coding: str) -> bool:
    """Take the encoded form that the cache keeps, or put the encoder in the body's way; says whether it was kept."""
    known, endless = exchange.of(flow), is_endless(response)
    variants = None if endless else known.variants
    kept = await variants.find(coding) if variants else None
    if kept is not None:
        await _send_kept(flow, response, kept)
    elif flow.request.method == "HEAD":
        response.headers.pop("Content-Length", None)
    else:
        if known.source is not None:  # its head goes out before anybody knows how long it gets
            response.headers.pop("Content-Length", None)
        known.response_body.add(Stage.ENCODER, codecs.encoder(coding, eager=endless))
        if variants and (tap := variants.keep(coding)):
            known.response_body.tap(Stage.VARIANT, tap)
    return kept is not None


async def _send_kept(flow: http.HTTPFlow, response: http.Response, kept: exchange.Kept) -> None:
    """Send a kept form in place of the plain one: piece by piece where that is, too, else whole.

    Where an origin's answer is stood in for, that has to come first.
    """
    known = exchange.of(flow)
    response.headers["Content-Length"] = str(kept.size)
    if flow.request.method == "HEAD":
        return
    if known.source is not None:
        await known.source.close()
        known.source = kept.source()
    elif known.origin is None:
        response.raw_content = await kept.read()
    else:
        known.response_body.add(Stage.ENCODER, Replace(await kept.read()))


def _confirms_ours(flow: http.HTTPFlow, response: http.Response) -> bool:
    """Say whether a 304 tells a client that the encoded form it has, with its weak tag, is still good."""
    if response.status_code != MATCHED:
        return False
    received = exchange.of(flow).received
    return received is not None and names_weakly(received.get("If-None-Match"), response.headers.get("ETag"))
