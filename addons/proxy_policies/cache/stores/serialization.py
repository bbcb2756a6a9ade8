"""Stored heads as text, for stores outside this process: a checksum, and JSON.

Records of another version, and damaged ones, are ignored.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache
from zlib import crc32

from proxy_policies.cache.rfc9111.entry import Span, StoredResponse
from proxy_policies.cache.rfc9111.freshness import Overrides
from proxy_policies.fields import Fields

VERSION = 5
"""1 had other keys for reverse mode, and kept cookies; 2 other lists of tags in Redis, and no checksums on disk;
3 times in Redis by the writer's clock; 4 no checksums in Redis, nor of heads."""
CHECKSUM = 8
"""Hexadecimal digits before a head: its CRC-32."""


def dump(entry: StoredResponse) -> str:
    """Serialize a stored head; any byte in a field is preserved."""
    text = json.dumps(
        {
            "version": VERSION,
            "key": entry.key,
            "status": entry.status,
            "reason": entry.reason,
            "fields": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in entry.fields.raw],
            "selecting": entry.vary_key,
            "requested_at": entry.requested_at,
            "received_at": entry.received_at,
            "size": entry.size,
            "id": entry.id,
            "span": asdict(entry.span) if entry.span else None,
            "tags": sorted(entry.tags),
            "overrides": asdict(entry.overrides),
            "personal": entry.personal,
        }
    )
    return _checksum(text.encode()) + text


def _checksum(text: bytes) -> str:
    return f"{crc32(text):0{CHECKSUM}x}"


@lru_cache(maxsize=2048)
def load(text: str | bytes) -> StoredResponse:
    """Parse a stored head. Raise ValueError if it is damaged, or of another version.

    The last ones are cached, so that a key with many variants is looked up as fast as any.
    """
    try:
        written = text.encode() if isinstance(text, str) else text
        if written[:CHECKSUM] != _checksum(written[CHECKSUM:]).encode():
            raise ValueError("a damaged record")
        record = json.loads(written[CHECKSUM:])
        if record.pop("version") != VERSION:
            raise ValueError("another version's record")
        fields = Fields((name.encode("latin-1"), value.encode("latin-1")) for name, value in record.pop("fields"))
        selecting = tuple((str(name), str(value)) for name, value in record.pop("selecting"))
        span = record.pop("span")
        return StoredResponse(
            fields=fields,
            vary_key=selecting,
            span=Span(**span) if span else None,
            tags=frozenset(record.pop("tags")),
            overrides=Overrides(**record.pop("overrides")),
            **record,
        )
    except (KeyError, TypeError, AttributeError, UnicodeError) as error:
        raise ValueError(f"no stored head: {error}") from error


def load_heads(texts: Iterable[str | bytes], key: str | None = None) -> list[StoredResponse]:
    """Parse the valid heads, only those of a key if given; the others count as absent."""
    found = []
    for text in texts:
        try:
            entry = load(text)
        except ValueError:
            continue
        if key in (None, entry.key):
            found.append(entry)
    return found
