"""The differences between a recorded response and a live one: its status, fields, cookies and body."""

import json
import re
from collections.abc import Iterator, Sequence

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.binary_summary import summary_of
from proxy_policies.capture.bodies import parsed_body
from proxy_policies.capture.bodies.parsed_body import BodyKind, Parsed
from proxy_policies.capture.check.change import Change
from proxy_policies.capture.check.json_diff import digit_changes, json_changes, repetition_changes
from proxy_policies.capture.check.secret_pairs import SecretPairs
from proxy_policies.capture.check.text_diff import text_changes
from proxy_policies.capture.check.unordered import Unordered, align
from proxy_policies.capture.model import Headers, Response, field_lines, header
from proxy_policies.fields import split_list

CACHE = "proxy-policies"
"""Our cache's name in Cache-Status."""
IGNORED_HEADERS = frozenset(
    [
        *("date", "age", "via", "connection", "keep-alive", "transfer-encoding", "content-length", "trailer"),
        *("server-timing", "x-runtime", "x-response-time", "x-request-id", "x-correlation-id", "request-id"),
        *("x-trace-id", "traceparent", "tracestate", "x-amzn-trace-id", "x-b3-traceid", "cf-ray"),
        *("x-served-by", "x-timer", "x-cache", "x-cache-hits", "cache-status", "alt-svc", "nel", "report-to"),
        "set-cookie",
    ]
)
_LONG_AGO = re.compile(r"\b(?:19\d\d|200\d|[01]\d [A-Z][a-z]{2} \d\d) ")


def compare(
    old: Response, new: Response, secrets: SecretPairs | None = None, unordered: Sequence[Unordered] = ()
) -> list[Change]:
    """Return the differences, most important first; empty if there are none.

    `secrets` are those of the whole run so far, `unordered` the lists whose order is ignored.
    """
    secrets = secrets or SecretPairs()
    secrets.start_response()
    return [
        *_status(old, new),
        *_cache(old.headers, new.headers),
        *_fields(old.headers, new.headers, secrets),
        *_cookies(old, new, secrets),
        *_announced_length(old, new),
        *_fields(old.trailers, new.trailers, secrets, "trailer"),
        *_bodies(old, new, secrets, unordered),
    ]


def _status(old: Response, new: Response) -> Iterator[Change]:
    if old.status != new.status:
        yield Change("status", old.status, new.status)


def _cache(old: Headers, new: Headers) -> Iterator[Change]:
    """Yield a change if only one of the responses is from our cache."""
    before, after = (("from the cache" if _is_hit(headers) else "from the origin") for headers in (old, new))
    if before != after:
        yield Change("cache", before, after)


def _is_hit(headers: Headers) -> bool:
    """Return whether our member of Cache-Status has the parameter `hit` (RFC 9211, section 2.1)."""
    members = [member.split(";") for member in split_list(header(headers, "cache-status") or "")]
    return any(name.strip() == CACHE and "hit" in map(str.strip, parameters) for name, *parameters in members)


def _announced_length(old: Response, new: Response) -> Iterator[Change]:
    """Compare the length of a body that is not sent, as in a response to HEAD (RFC 9110 section 8.6)."""
    before, after = header(old.headers, "content-length"), header(new.headers, "content-length")
    has_body = any(message.body.content or message.body.dropped or message.body.cut for message in (old, new))
    if not has_body and before is not None and after is not None and before != after:
        yield Change("header:content-length", before, after)


def _fields(old: Headers, new: Headers, secrets: SecretPairs, kind: str = "header") -> Iterator[Change]:
    before, after = field_lines(old), field_lines(new)
    for name in sorted({*before, *after} - IGNORED_HEADERS):
        one, other = ", ".join(before.get(name, [])), ", ".join(after.get(name, []))
        if name not in after:
            yield Change(f"{kind}:{name}", one, None, "removed")
        elif name not in before:
            yield Change(f"{kind}:{name}", None, other, "added")
        elif not secrets.are_equal(one, other):
            yield Change(f"{kind}:{name}", one, other)


def _cookies(old: Response, new: Response, secrets: SecretPairs) -> Iterator[Change]:
    """Compare cookies by name: their values, and all attributes but dates."""
    before, after = _cookie_jar(old.headers), _cookie_jar(new.headers)
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            yield Change(f"cookie:{name}", one, other, "added" if one is None else "removed")
        elif not secrets.are_equal(dynamic_values.mask_plain(one), dynamic_values.mask_plain(other)):
            yield Change(f"cookie:{name}", one, other)


def _cookie_jar(headers: Headers) -> dict[str, str]:
    """Return each cookie as it is compared; one that is set several times, for several paths, as a list."""
    jar: dict[str, list[str]] = {}
    for value in field_lines(headers).get("set-cookie", ()):
        pair, _, attributes = value.partition(";")
        name, _, text = pair.partition("=")
        kept = [_without_date(part.strip()) for part in attributes.split(";")]
        cookie = f"{name.strip()}={text.strip()}"
        jar.setdefault(name.strip(), []).append("; ".join([cookie, *sorted(filter(None, kept))]))
    return {name: ", ".join(sorted(values)) for name, values in jar.items()}


def _without_date(attribute: str) -> str:
    """Return an attribute without its date, which differs each time; `long ago` deletes the cookie."""
    name, equals, date = attribute.partition("=")
    if not equals or name.lower() != "expires":
        return attribute
    return f"{name}=<{'long ago' if _LONG_AGO.search(date) else 'date'}>"


def _bodies(old: Response, new: Response, secrets: SecretPairs, unordered: Sequence[Unordered]) -> Iterator[Change]:
    is_same = old.body.content == new.body.content and old.body.cut == new.body.cut and not old.body.dropped
    if is_same and secrets.learn_unchanged(old.body.content.decode("latin-1")):
        return
    before, after = parsed_body.parse(old.body, old.headers), parsed_body.parse(new.body, new.headers)
    if before.kind is not after.kind:
        yield Change("body", _summary(before), _summary(after))
    elif before.is_structured:
        one, other = before.document(), after.document()
        yield from json_changes(one, align(one, other, unordered), (), secrets)
        yield from repetition_changes(old.body.content, new.body.content)
        yield from digit_changes(old.body.content, new.body.content, unordered)
    elif before.kind in (BodyKind.TEXT, BodyKind.HTML):
        yield from text_changes(before.value, after.value, before.kind is BodyKind.HTML, secrets)
    elif before.sha256 != after.sha256:
        yield Change("body", _summary(before), _summary(after))


def _summary(parsed: Parsed) -> str:
    if parsed.kind is BodyKind.BYTES:
        return summary_of(parsed.size, parsed.sha256)
    if parsed.kind is BodyKind.EMPTY:
        return "empty"
    value = parsed.value if isinstance(parsed.value, str) else json.dumps(parsed.value, ensure_ascii=False)
    return f"{parsed.kind.value}: {value[:2000]}"
