"""Decides whether a response is encoded, and how."""

from functools import lru_cache
from typing import NamedTuple

from proxy_policies.encoding.negotiation import IDENTITY, accepted_by, choose
from proxy_policies.encoding.types import MediaTypeGlobs
from proxy_policies.fields import Fields, media_type_of, parse_directives, parse_length

NEVER = frozenset({*range(100, 200), 204, 205})
"""Statuses without a body."""
PARTIAL, NOT_MODIFIED = 206, 304
TYPE_NOT_STATED = {NOT_MODIFIED: ("",), PARTIAL: ("", "multipart/byteranges")}
"""By status: types, "" for none, that do not state the type of the whole representation (RFC 9110, 15.3.7, 15.4.5)."""


class ResponseInfo(NamedTuple):
    """A request and the head of its response; the length is in bytes, None if not known beforehand."""

    request: Fields
    status: int
    response: Fields
    length: int | None


class EncodingOptions(NamedTuple):
    """The user's options for this flow: codings in order of preference, the smallest body, the media types."""

    codings: tuple[str, ...]
    min_size: int
    types: MediaTypeGlobs


class EncodingDecision(NamedTuple):
    """The coding for the body, whether it depends on the client, and why."""

    coding: str
    varies: bool
    why: str

    @property
    def encodes(self) -> bool:
        """Return whether the body changes."""
        return self.coding != IDENTITY


def _identity(why: str) -> EncodingDecision:
    return EncodingDecision(IDENTITY, False, why)


def decide(subject: ResponseInfo, options: EncodingOptions) -> EncodingDecision:
    """Decide on one response. A HEAD is treated like its GET."""
    if reason := _reason_not_to(subject, options):
        return _identity(reason)
    accepted = accepted_by(subject.request.get("Accept-Encoding"))
    length = _length_of_whole(subject)
    if accepted.identity and length is not None and length < options.min_size:
        return _identity(f"smaller than {options.min_size} bytes")
    if subject.status == NOT_MODIFIED:
        return EncodingDecision(IDENTITY, True, "not modified")
    if subject.status == PARTIAL:  # with the Vary that the whole would have (RFC 9110, section 15.3.7)
        return EncodingDecision(IDENTITY, True, "a part")
    coding = choose(accepted, options.codings)
    if coding == IDENTITY:
        return EncodingDecision(IDENTITY, True, f"the client accepts none of {', '.join(options.codings)}")
    return EncodingDecision(coding, True, "the client accepts it")


def _length_of_whole(subject: ResponseInfo) -> int | None:
    if subject.status != PARTIAL:
        return subject.length
    _, _, said = (subject.response.get("Content-Range") or "").rpartition("/")
    return parse_length(said)


def _reason_not_to(subject: ResponseInfo, options: EncodingOptions) -> str:
    """Return why no client gets the response encoded; "" if one might."""
    response = subject.response
    if not options.codings:
        return "turned off"
    if subject.status in NEVER or (subject.status != PARTIAL and "content-range" in response):
        return "a part, or no body"
    if (present := response.get("Content-Encoding")) and present.strip().lower() != IDENTITY:
        return f"already {present}"
    said, asked = response.get("Cache-Control"), subject.request.get("Cache-Control")
    if (said and _forbids(said)) or (asked and _forbids(asked)):
        return "no-transform"
    media_type = response.get("Content-Type")
    if not (options.types.include(media_type) or media_type_of(media_type) in TYPE_NOT_STATED.get(subject.status, ())):
        return f"type {media_type or 'unknown'} is not among encode_types"
    return ""


@lru_cache(maxsize=256)
def _forbids(said: str) -> bool:
    return any(directive.name == "no-transform" for directive in parse_directives(said))
