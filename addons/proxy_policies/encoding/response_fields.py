"""How encoding changes the fields of a response (RFC 9110, section 8.4).

Entity tags are marked so that any process can remove the mark again. A strong tag identifies the exact bytes (RFC 9110,
section 8.8.3), so no two codings may share it (8.8.3.3). Ours is the origin's tag, `~` and the coding: `"v1"` becomes
`W/"v1~gzip"`. It is weak, because the same text compressed twice need not give the same bytes (8.8.1): libraries
differ, and so do the pauses at which a stream is flushed. `w-` before the coding says that the origin's own tag was
weak: `W/"v1"` becomes `W/"v1~w-gzip"`. An origin's tag that looks marked is marked too, as `identity`, and a mark is
removed only if it is exactly what we would have added: a tag that lost its `W/`, or that the client got from the origin
directly, stays. There is no state: it works across restarts, workers and machines (as Apache's `-gzip` and Jetty's
`--gzip`). Everything here is pure.

This also applies to If-Match, though a weak tag never matches there (section 13.1.1): the mark contains the origin's
own tag, and the client has every byte of that content, so the origin does the strong comparison with that tag. One that
is weak at the origin is sent to it as weak. Otherwise no resource read in compressed form could be changed (Apache bug
45023).
"""

import re
from collections.abc import Callable, Iterable

from proxy_policies.encoding.negotiation import IDENTITY
from proxy_policies.fields import EntityTag, Fields, parse_entity_tag, split_tags, tokens

VOID = ("Accept-Ranges", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest")
"""Fields true only of the plain form: ranges and digests of its bytes (RFC 9530, section 2)."""


def with_vary(fields: Fields) -> Fields:
    """Add Accept-Encoding to Vary (RFC 9110, section 12.5.5)."""
    said = fields.get("Vary")
    if said is None:
        return fields.adding("Vary", "Accept-Encoding")
    listed = tokens(said)
    if "*" in listed or "accept-encoding" in listed:
        return fields
    return fields.replacing("Vary", ", ".join((*fields.lines("Vary"), "Accept-Encoding")))


def with_encoding(fields: Fields, coding: str) -> Fields:
    """Set Content-Encoding. The entity tag and the length are set elsewhere."""
    return fields.without(VOID).replacing("Content-Encoding", coding)


CODINGS = ("zstd", "br", "gzip", "deflate")
_MARKED = re.compile(rf"(?P<own>.*)~(?P<weak>w-)?(?P<coding>{'|'.join(CODINGS)}|identity)", re.DOTALL)
"""A marked tag; a backslash has no special meaning in a tag."""

type Accepts = Callable[[str], bool]
"""True if the client accepts a coding."""


def marked(tag: EntityTag, coding: str) -> EntityTag:
    """Return the tag of a response in `coding`, given its origin's."""
    if coding == IDENTITY and not _MARKED.fullmatch(tag.opaque):
        return tag
    return EntityTag(f"{tag.opaque}~{'w-' if tag.weak else ''}{coding}", weak=tag.weak or coding != IDENTITY)


def unmarked(tag: EntityTag) -> tuple[EntityTag, str]:
    """Return the origin's own tag and the coding of a tag made by `marked`; any other is the origin's own."""
    match = _MARKED.fullmatch(tag.opaque)
    if match is None:
        return tag, IDENTITY
    own, coding = EntityTag(match["own"], weak=match["weak"] is not None), match["coding"]
    return (own, coding) if marked(own, coding) == tag else (tag, IDENTITY)


def with_origins_tags(fields: Fields, method: str, accepts: Accepts, codings: Iterable[str] = CODINGS) -> Fields:
    """Return a request's fields with the origin's own tags in its conditions (RFC 9110, section 13.1).

    Tags of a coding that the client does not accept are removed: they must not be confirmed. If a part may continue a
    compressed form, the whole is requested: parts are of the plain form (sections 13.1.5 and 14.2). `codings` are those
    in which the client may hold a form without a tag.
    """
    if "Range" in fields and _may_continue_encoded(fields, accepts, codings):
        fields = fields.without(["If-Range", "Range"])
    fields = _in_list(fields, "If-Match", lambda _: True)
    fields = _in_list(fields, "If-Range", lambda _: True)
    return _in_list(fields, "If-None-Match", accepts if method in ("GET", "HEAD") else lambda _: True)


def _may_continue_encoded(fields: Fields, accepts: Accepts, codings: Iterable[str]) -> bool:
    """Return whether the client may hold a compressed form: it has its tag, or a date, which all forms share."""
    if_range = fields.get("If-Range")
    tags = [parse_entity_tag(tag) for tag in (if_range, *split_tags(fields.get("If-Match") or ""))]
    if any(tag and unmarked(tag)[1] != IDENTITY for tag in tags):
        return True
    is_dated = "If-Unmodified-Since" in fields or (if_range is not None and tags[0] is None)
    return is_dated and any(map(accepts, codings))


def _in_list(fields: Fields, name: str, counts: Accepts) -> Fields:
    value = fields.get(name)
    if value is None or "~" not in value:
        return fields
    given = split_tags(value)
    members = dict.fromkeys(own for member in given if (own := _own(member, counts)))
    if not members:
        # No tag can match, and without If-None-Match the date would count (section 13.1.3).
        return fields.without([name, "If-Modified-Since"])
    return fields if list(members) == given else fields.replacing(name, ", ".join(members))


def _own(member: str, counts: Accepts) -> str:
    """Return a member with the origin's own tag; "" for one that does not count."""
    tag = parse_entity_tag(member)
    if tag is None:
        return member
    own, coding = unmarked(tag)
    return str(own) if coding == IDENTITY or counts(coding) else ""


def with_tag(fields: Fields, coding: str) -> Fields:
    """Return the fields of a response in `coding` with its tag; without one if the origin's cannot be marked.

    An invalid entity tag is kept only on the plain form (nginx, too, removes it).
    """
    value = fields.get("etag")
    if value is None or (coding == IDENTITY and "~" not in value):  # a tag that looks marked has `~`
        return fields
    tag = parse_entity_tag(value)
    if tag is None:
        return fields if coding == IDENTITY else fields.without(["ETag"])
    bears = marked(tag, coding)
    return fields if bears == tag else fields.replacing("ETag", str(bears))


def with_confirmed_tag(fields: Fields, if_none_match: str | None, preferred: str, accepts: Accepts) -> Fields:
    """Return the fields of a 304 for the client's form, with its tag; of several, that of the `preferred` coding."""
    own = parse_entity_tag(fields.get("ETag"))
    if own is None:
        return fields
    held: dict[str, str] = {}
    for member in split_tags(if_none_match or ""):
        if tag := parse_entity_tag(member):
            origins, coding = unmarked(tag)
            if origins.matches_weakly(own) and (coding == IDENTITY or accepts(coding)):
                held.setdefault(coding, tag.opaque)
    coding = preferred if preferred in held else next(iter(held), IDENTITY)
    if coding == IDENTITY:
        return with_tag(fields, IDENTITY)
    return fields.without((*VOID, "Content-Length")).replacing("ETag", str(EntityTag(held[coding], weak=True)))
