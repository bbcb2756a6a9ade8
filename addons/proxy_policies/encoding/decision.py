"""Whether a response is encoded, and how: the one function that says so."""

from collections.abc import Sequence
from typing import NamedTuple

from proxy_policies.encoding.negotiation import IDENTITY, accepted_by, choose
from proxy_policies.encoding.types import MediaTypeGlobs
from proxy_policies.fields import Fields, parse_directives

NEVER = frozenset({*range(100, 200), 204, 205, 206})
"""Statuses without a body, and 206, whose body is part of another."""
NOT_MODIFIED = 304


class ResponseInfo(NamedTuple):
    """A request and the head of its response; the length is in bytes, None when not known beforehand."""

    request: Fields
    status: int
    response: Fields
    length: int | None


class EncodingOptions(NamedTuple):
    """What the user set, for this flow: our codings, in order of preference, the smallest body, the media types."""

    codings: Sequence[str]
    min_size: int
    types: MediaTypeGlobs


class Decision(NamedTuple):
    """The coding the body gets, whether another client might get another, and why."""

    coding: str
    varies: bool
    why: str

    @property
    def encodes(self) -> bool:
        """Return whether the body changes."""
        return self.coding != IDENTITY


def _identity(why: str) -> Decision:
    return Decision(IDENTITY, False, why)


def decide(subject: ResponseInfo, options: EncodingOptions) -> Decision:
    """Decide on one response. A HEAD is decided on as its GET would be."""
    if reason := _reason_not_to(subject, options):
        return _identity(reason)
    accepted = accepted_by(subject.request.get("Accept-Encoding"))
    if accepted.identity and subject.length is not None and subject.length < options.min_size:
        return _identity(f"smaller than {options.min_size} bytes")
    if subject.status == NOT_MODIFIED:
        return Decision(IDENTITY, True, "not modified")
    coding = choose(accepted, options.codings)
    if coding == IDENTITY:
        return Decision(IDENTITY, True, f"the client accepts none of {', '.join(options.codings)}")
    return Decision(coding, True, "the client accepts it")


def _reason_not_to(subject: ResponseInfo, options: EncodingOptions) -> str:
    """Return why neither this client nor any other gets the response encoded; "" when one might."""
    response = subject.response
    if not options.codings:
        return "turned off"
    if subject.status in NEVER or "Content-Range" in response:
        return "a part, or no body"
    if (present := response.get("Content-Encoding")) and present.strip().lower() != IDENTITY:
        return f"already {present}"
    if _forbids(response) or _forbids(subject.request):
        return "no-transform"
    # What a 304 refers to is not said again in full (RFC 9110, section 15.4.5): without a type it may have any.
    media_type = response.get("Content-Type")
    if not (options.types.include(media_type) or (subject.status == NOT_MODIFIED and media_type is None)):
        return f"type {media_type or 'unknown'} is not among encode_types"
    return ""


def _forbids(fields: Fields) -> bool:
    said = fields.get("Cache-Control")
    if said is None or "no-transform" not in said.lower():
        return False
    return any(directive.name == "no-transform" for directive in parse_directives(said))
