"""Entity tags of encoded responses (RFC 9110, section 8.8.3.3).

A strong tag names the very bytes, so the encoded form must not bear it: we make
it weak. When the client comes back with it, we make it strong again, for the
origin knows no other; but only if it was us: an origin's own weak tag stays.
"""

from collections import OrderedDict

from proxy_policies.fields import EntityTag, Fields, parse_entity_tag, parse_entity_tags

REMEMBERED = 20_000
"""How many weakened tags are remembered, of the last used; some 3 MB."""
CONDITIONS = ("If-None-Match", "If-Match")
"""Not If-Range: a part of the plain form must not be joined to the encoded form."""


class Weakened:
    """The tags that we made weak, each with the host that it is from."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str | None, str], None] = OrderedDict()

    def weaken(self, fields: Fields, host: str | None) -> Fields:
        """Make a response's strong ETag weak."""
        tag = parse_entity_tag(fields.get("ETag"))
        if tag is None or tag.weak:
            return fields
        self._remember((host, tag.opaque))
        return fields.replacing("ETag", str(EntityTag(tag.opaque, weak=True)))

    def restore(self, fields: Fields, host: str | None) -> Fields:
        """Make the tags strong again that a request's conditions have from us."""
        for name in CONDITIONS:
            tags = parse_entity_tags(fields.get(name))
            restored = [EntityTag(tag.opaque) if self._is_ours(tag, host) else tag for tag in tags]
            if restored != tags:
                fields = fields.replacing(name, ", ".join(map(str, restored)))
        return fields

    def _is_ours(self, tag: EntityTag, host: str | None) -> bool:
        return tag.weak and (host, tag.opaque) in self._seen

    def _remember(self, key: tuple[str | None, str]) -> None:
        self._seen[key] = None
        self._seen.move_to_end(key)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


def names_weakly(condition: str | None, etag: str | None) -> bool:
    """Say whether If-None-Match has, as a weak tag, what the response's strong ETag is."""
    current = parse_entity_tag(etag)
    if current is None or current.weak:
        return False
    return any(tag.weak and tag.opaque == current.opaque for tag in parse_entity_tags(condition))
