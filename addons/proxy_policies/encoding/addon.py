"""The encoding policy: compresses responses for the clients that accept it."""

from collections.abc import Awaitable, Callable, Collection

from mitmproxy import ctx, http

from proxy_policies import subrequest, trace
from proxy_policies.body import Replace, Stage
from proxy_policies.dispatch.around_scripts import Hooks
from proxy_policies.encoding.decision import NOT_MODIFIED, EncodingDecision, EncodingOptions, ResponseInfo, decide
from proxy_policies.encoding.negotiation import Accepted, accepted_by, choose
from proxy_policies.encoding.options import parse_codings, read_rule
from proxy_policies.encoding.response_fields import (
    with_confirmed_tag,
    with_encoding,
    with_origins_tags,
    with_tag,
    with_vary,
)
from proxy_policies.encoding.types import TEXT_LIKE, parse_types
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.fields import Fields, fields_of, set_fields
from proxy_policies.finished import reporting
from proxy_policies.flows import flow_state
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.rules import parse_rules
from proxy_policies.settings import Setting, parse_size
from proxy_policies.streaming.decision import is_endless, is_sent_in_pieces, length_of

with lazy_imports():
    from proxy_policies.encoding import codecs


CONDITIONS = frozenset({"if-none-match", "if-match", "if-range", "if-unmodified-since"})


class EntityTags:
    """Before the cache: restores the origin's entity tags from those that we marked."""

    name = "entity-tags"
    fast_paths = NO_OBJECTION

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Restore the origin's tags in a request's conditions, undoing `Encoding`'s marks."""
        if flow.response or flow.error or (flow.is_replay and subrequest.purpose(flow)):
            return
        fields = fields_of(flow.request.data.headers)
        if fields.has_any(CONDITIONS):
            accepted = accepted_by(fields.get("Accept-Encoding"))
            restored = with_origins_tags(fields, flow.request.method, _reads(accepted), _codings_in_use())
            if restored is not fields:
                set_fields(flow.request.headers, restored)


def _codings_in_use() -> Collection[str]:
    encoding = ctx.master.addons.get("encoding")
    return () if encoding is None else encoding.codings_in_use


class Encoding:
    """After the cache and every script: compresses uncompressed bodies from the origin, the cache or a script."""

    name = "encoding"
    fast_paths = {**NO_OBJECTION, "hits": ("encode_rules",)}

    encode = Setting(
        ("zstd", "br", "gzip"),
        parse_codings,
        "Content codings for uncompressed responses, preferred first: zstd, br, gzip, deflate; off disables encoding.",
    )
    encode_min_size = Setting("1k", parse_size, "Smallest body worth encoding, such as 1k.")
    encode_types = Setting(TEXT_LIKE, parse_types, "Media types worth encoding, as globs; a leading ! excludes.")
    encode_rules = Setting(
        (),
        parse_rules(read_rule),
        "Encoding for some flows: /flow-filter/off or /flow-filter/gzip; the first match applies.",
    )

    @property
    def codings_in_use(self) -> set[str]:
        """The codings in which some responses are sent; which rule matches is known only with a response."""
        return {*self.encode, *(coding for rule in self.encode_rules for coding in rule.codings)}

    def late_hooks(self) -> Hooks:
        """Return the hooks that run after all scripts: encoding in pieces from the head on, or whole."""
        return Hooks(self.name, responseheaders=self.encode_in_pieces, response=self.encode_whole)

    def encode_in_pieces(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Encode a body that is sent as it arrives, whose head is sent now."""
        return self._encode(flow) if is_sent_in_pieces(flow) else None

    def encode_whole(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Encode a complete body, or none."""
        return None if is_sent_in_pieces(flow) else self._encode(flow)

    def _encode(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Decide, change the head, and put the encoder into the body's pipeline."""
        response = flow.response
        if response is None or flow_state.state_of(flow).is_awaited_whole:  # encoded for the flow that awaits it
            return None
        fields = fields_of(response.data.headers)
        request, options = fields_of(flow.request.data.headers), self._options(flow)
        decision = decide(ResponseInfo(request, response.data.status_code, fields, length_of(flow, response)), options)
        if decision.varies:
            fields = with_vary(fields)
        encodes = decision.encodes
        if encodes:
            fields = with_encoding(fields, decision.coding)
        if response.data.status_code == NOT_MODIFIED:
            fields = _confirming(flow, fields, options)
        else:
            fields = with_tag(fields, decision.coding)
        set_fields(response.data.headers, fields)
        trace.note(flow, self.name, decision.coding, decision.why)
        return _encode(flow, response, decision) if encodes else None

    def _options(self, flow: http.HTTPFlow) -> EncodingOptions:
        ruled = self.encode
        if self.encode_rules:
            ruled = next((rule.codings for rule in self.encode_rules if rule.rule.matches(flow)), ruled)
        return EncodingOptions(ruled, self.encode_min_size, self.encode_types)


def _reads(accepted: Accepted) -> Callable[[str], bool]:
    return lambda coding: accepted.weight(coding) > 0


def _confirming(flow: http.HTTPFlow, fields: Fields, options: EncodingOptions) -> Fields:
    """Return a 304's fields with the client's entity tag."""
    received = flow_state.state_of(flow).received
    accepted = accepted_by(flow.request.headers.get("Accept-Encoding"))
    condition = received.get("If-None-Match") if received else None
    return with_confirmed_tag(fields, condition, choose(accepted, options.codings), _reads(accepted))


class PlainSize:
    """Counts a body before it is encoded."""

    def __init__(self, state: flow_state.FlowState) -> None:
        self._state = state

    def feed(self, data: bytes) -> None:
        """Count a chunk."""
        self._state.plain = (self._state.plain or 0) + len(data)

    def finish(self) -> None:
        """Do nothing: the body is complete."""

    def abort(self) -> None:
        """Do nothing: the body was cut off."""


async def _encode(flow: http.HTTPFlow, response: http.Response, decision: EncodingDecision) -> None:
    """Use the encoded form kept by the cache, or add the encoder to the body's pipeline."""
    state, coding = flow_state.state_of(flow), decision.coding
    variants = state.variants if _is_as_stored(flow, response) else None
    kept = await variants.find(coding) if variants else None
    if kept is not None and await _send_kept(flow, response, kept):
        return
    if flow.request.method == "HEAD":
        response.headers.pop("Content-Length", None)
        return
    if is_sent_in_pieces(flow):  # its head is sent before its length is known
        response.headers.pop("Content-Length", None)
    if reporting.SUBSCRIBERS:
        state.plain = 0
        state.response_body.tap(Stage.ENCODER, PlainSize(state))
    state.response_body.add(Stage.ENCODER, codecs.encoder(coding))
    if variants and (tap := variants.keep(coding)):
        state.response_body.tap(Stage.VARIANT, tap)


def _is_as_stored(flow: http.HTTPFlow, response: http.Response) -> bool:
    """Return whether the cache's encoded forms are of this very body: it ends, and no script changes it."""
    state = flow_state.state_of(flow)
    if is_endless(response) or state.response_body.is_scripted or callable(response.stream):
        return False
    return is_sent_in_pieces(flow) or response.raw_content is state.content


async def _send_kept(flow: http.HTTPFlow, response: http.Response, kept: flow_state.EncodedBody) -> bool:
    """Send a kept form in place of the plain one: in pieces if that is sent in pieces, else whole.

    Return False if it cannot be read.
    """
    state, plain, whole = flow_state.state_of(flow), response.headers.fields, length_of(flow, response)
    response.headers["Content-Length"] = str(kept.size)
    if flow.request.method == "HEAD":
        return True
    state.plain = whole
    if state.source is not None:
        await state.source.close()
        state.source = kept.source()
        return True
    content = await kept.read()
    if content is None:
        response.headers.fields = plain
        return False
    if is_sent_in_pieces(flow):
        state.response_body.add(Stage.ENCODER, Replace(content))
    else:
        response.raw_content = content
    return True
