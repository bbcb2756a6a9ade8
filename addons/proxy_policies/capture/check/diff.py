"""The differences between a recorded response and a live one: a list of changes, each at a named location.

Locations: `status`, `cache`, `header:NAME`, `cookie:NAME`, `trailer:NAME`, `json:PATH`, `text:LINE`, `body`, `time`,
`error`. A placeholder equals another of its kind that replaces it everywhere (see `secret_pairs.py`).
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.binary_summary import summary_of
from proxy_policies.capture.bodies import json_path, parsed_body
from proxy_policies.capture.bodies.json_path import PathStep
from proxy_policies.capture.bodies.parsed_body import BodyKind, Parsed
from proxy_policies.capture.check.alignment import MAX_ITEMS, opcodes
from proxy_policies.capture.check.secret_pairs import SecretPairs
from proxy_policies.capture.check.unordered import Unordered, align
from proxy_policies.capture.model import Headers, Response, header
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER
from proxy_policies.fields import split_list
from proxy_policies.log_lines import quantity

CACHE = "proxy-policies"
"""Our cache's name in Cache-Status."""
IGNORED_HEADERS = frozenset(
    [
        *("date", "age", "via", "connection", "keep-alive", "transfer-encoding", "content-length", "trailer"),
        *("server-timing", "x-runtime", "x-response-time", "x-request-id", "x-correlation-id", "request-id"),
        *(
            "x-trace-id",
            "traceparent",
            "tracestate",
            "x-amzn-trace-id",
            "x-b3-traceid",
            "cf-ray",
            "x-served-by",
            "x-timer",
        ),
        *("x-cache", "x-cache-hits", "cache-status", "alt-svc", "nel", "report-to", "set-cookie"),
    ]
)
_LINE_END = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_LONG_AGO = re.compile(r"\b(?:19\d\d|200\d|[01]\d [A-Z][a-z]{2} \d\d) ")
MAX_LIST_ITEMS = 2000  # longer lists are compared index by index


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `old` and `new` are JSON values; None if absent. `kind`: `changed`, `added` or `removed`."""

    location: str
    old: Any = None
    new: Any = None
    kind: str = "changed"

    @property
    def is_dynamic(self) -> bool:
        """Return whether both values are of a kind that differs each time: two UUIDs, or two timestamps.

        1 and 1.0 are one number in JSON (RFC 8259 section 6), though not to every client.
        Two secrets never are: they are in a change only if their kinds or lengths differ, or they are swapped.
        """
        if _same_number(self.old, self.new):
            return True
        if not isinstance(self.old, str | int | float) or isinstance(self.old, str) is not isinstance(self.new, str):
            return False
        if self.location.startswith("text:"):
            return dynamic_values.mask_kinds(str(self.old)) == dynamic_values.mask_kinds(str(self.new))
        return dynamic_values.are_alike(str(self.old), str(self.new)) or dynamic_values.differ_inside(
            str(self.old), str(self.new)
        )


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


def _grouped(headers: Headers) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return found


def _announced_length(old: Response, new: Response) -> Iterator[Change]:
    """Compare the length of a body that is not sent, as in a response to HEAD (RFC 9110 section 8.6)."""
    before, after = header(old.headers, "content-length"), header(new.headers, "content-length")
    has_body = any(message.body.content or message.body.dropped or message.body.cut for message in (old, new))
    if not has_body and before is not None and after is not None and before != after:
        yield Change("header:content-length", before, after)


def _fields(old: Headers, new: Headers, secrets: SecretPairs, kind: str = "header") -> Iterator[Change]:
    before, after = _grouped(old), _grouped(new)
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
    for value in _grouped(headers).get("set-cookie", []):
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


def _mask_secrets(text: str) -> str:
    return PLACEHOLDER.sub("<secret>", text) if "secret_" in text else text


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
        yield from _repetition_changes(old, new)
        yield from _digit_changes(old, new, unordered)
    elif before.kind in (BodyKind.TEXT, BodyKind.HTML):
        yield from text_changes(before.value, after.value, before.kind is BodyKind.HTML, secrets)
    elif before.sha256 != after.sha256:
        yield Change("body", _summary(before), _summary(after))


class _DecimalText(str):
    """A number with a fraction, as it is written."""

    __slots__ = ()

    def differs_beyond_float(self, number: "_DecimalText") -> bool:
        """Return whether the numbers differ, but not as 64-bit floats (IEEE 754)."""
        return float(self) == float(number) and Decimal(self) != Decimal(number)


def _digit_changes(old: Response, new: Response, unordered: Sequence[Unordered]) -> Iterator[Change]:
    """Compare numbers with more digits than a float has."""
    try:
        before, after = (json.loads(message.body.content, parse_float=_DecimalText) for message in (old, new))
    except (ValueError, RecursionError):
        return
    for change in json_changes(before, align(before, after, unordered)):
        one, other = change.old, change.new
        if isinstance(one, _DecimalText) and isinstance(other, _DecimalText) and one.differs_beyond_float(other):
            yield replace(change, old=str(one), new=str(other))


def _repetition_changes(old: Response, new: Response) -> Iterator[Change]:
    """Compare the repeated members of objects: parsers use the first, the last, or reject them (RFC 8259 section 4)."""
    before, after = (repeated_members(message.body.content) for message in (old, new))
    if before != after:
        yield Change("body", *(f"repeated members: {', '.join(names) or 'none'}" for names in (before, after)))


def repeated_members(content: bytes) -> list[str]:
    """Return the sorted names that any object of a JSON text has more than once; empty if it is not JSON."""
    found: set[str] = set()

    def collect(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            (found if name in seen else seen).add(name)

    try:
        json.loads(content, object_pairs_hook=collect)
    except (ValueError, RecursionError):
        return []
    return sorted(found)


def _summary(parsed: Parsed) -> str:
    if parsed.kind is BodyKind.BYTES:
        return summary_of(parsed.size, parsed.sha256)
    if parsed.kind is BodyKind.EMPTY:
        return "empty"
    value = parsed.value if isinstance(parsed.value, str) else json.dumps(parsed.value, ensure_ascii=False)
    return f"{parsed.kind.value}: {value[:2000]}"


def json_changes(
    old: Any, new: Any, steps: tuple[PathStep, ...] = (), secrets: SecretPairs | None = None
) -> Iterator[Change]:
    """Yield the differences between two JSON values; equal parts cost one comparison."""
    secrets = secrets or SecretPairs()
    if old == new and (text := repr(old)) == repr(new) and secrets.learn_unchanged(text):  # in Python, True == 1
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _member(old, new, name, steps, secrets)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_changes(old, new, steps, secrets)
    elif not _same_text(old, new, secrets):
        yield Change(f"json:{json_path.write(steps)}", old, new)


def _same_text(old: Any, new: Any, secrets: SecretPairs) -> bool:
    """Compare texts; also a number with a placeholder: it may have been too short to be redacted."""
    values = (old, new)
    if any(type(value) not in (str, int) for value in values):
        return False
    is_number = int in map(type, values)
    if is_number and not any(isinstance(value, str) and PLACEHOLDER.fullmatch(value) for value in values):
        return False
    return secrets.are_equal(str(old), str(new))


def _same_number(old: Any, new: Any) -> bool:
    """Return whether both are numbers of the same value, however they are written."""
    both = (int, float)
    return type(old) in both and type(new) in both and old == new


def _member(
    old: dict[str, Any], new: dict[str, Any], name: str, steps: tuple[PathStep, ...], secrets: SecretPairs
) -> Iterator[Change]:
    location = f"json:{json_path.write((*steps, name))}"
    if name not in new:
        yield Change(location, old[name], None, "removed")
    elif name not in old:
        yield Change(location, None, new[name], "added")
    else:
        yield from json_changes(old[name], new[name], (*steps, name), secrets)


def _list_changes(
    old: list[Any], new: list[Any], steps: tuple[PathStep, ...], secrets: SecretPairs
) -> Iterator[Change]:
    """Compare lists of equal length index by index; align others by their equal items."""
    if len(old) == len(new) or max(len(old), len(new)) > MAX_LIST_ITEMS:
        yield from _side_by_side(old, new, 0, steps, secrets)
        return
    before, after = ([json.dumps(item, sort_keys=True) for item in items] for items in (old, new))
    for tag, i1, i2, j1, j2 in opcodes(before, after):
        if tag != "equal":
            yield from _side_by_side(old[i1:i2], new[j1:j2], max(i1, j1) if i1 == i2 else i1, steps, secrets)


def _side_by_side(
    old: Sequence[Any], new: Sequence[Any], start: int, steps: tuple[PathStep, ...], secrets: SecretPairs
) -> Iterator[Change]:
    for index in range(max(len(old), len(new))):
        inner = (*steps, start + index)
        location = f"json:{json_path.write(inner)}"
        if index >= len(new):
            yield Change(location, old[index], None, "removed")
        elif index >= len(old):
            yield Change(location, None, new[index], "added")
        else:
            yield from json_changes(old[index], new[index], inner, secrets)


def lines_of(text: str, is_html: bool) -> list[str]:
    """Return a text's lines; HTML is also split between tags."""
    if not is_html:
        return text.splitlines()
    return [line.rstrip() for line in text.replace("><", ">\n<").splitlines()]


def _count_ends(ends: Sequence[str]) -> str:
    """Return the number of lines with each line end."""
    counts = [f"{ends.count(end)} that end with {json.dumps(end)}" for end in sorted(set(ends))]
    return f"lines: {', '.join(counts) or 'none that ends'}"


def text_changes(old: str, new: str, is_html: bool = False, secrets: SecretPairs | None = None) -> Iterator[Change]:
    """Yield each run of lines that differs; `text:LINE` counts from 1 in the old text."""
    changes = list(_line_changes(old, new, is_html, secrets or SecretPairs()))
    yield from changes
    old_ends, new_ends = _LINE_END.findall(old), _LINE_END.findall(new)
    if not is_html and old_ends != new_ends and (not changes or set(old_ends) != set(new_ends)):
        yield Change("text:1", _count_ends(old_ends), _count_ends(new_ends))


def _line_changes(old: str, new: str, is_html: bool, secrets: SecretPairs) -> Iterator[Change]:
    before, after = lines_of(old, is_html), lines_of(new, is_html)
    one, other = ([_mask_secrets(line) for line in lines] for lines in (before, after))
    for tag, i1, i2, j1, j2 in opcodes(one, other):
        if tag == "equal" or (tag == "replace" and i2 - i1 == j2 - j1):
            pairs = [(i1 + k, before[i1 + k], after[j1 + k]) for k in range(i2 - i1)]
            yield from (Change(f"text:{k + 1}", a, b) for k, a, b in pairs if not secrets.are_equal(a, b))
        else:
            kind = {"insert": "added", "delete": "removed", "replace": "changed"}[tag]
            yield Change(f"text:{i1 + 1}", _joined(before[i1:i2]), _joined(after[j1:j2]), kind)


def _joined(lines: Sequence[str]) -> str | None:
    if len(lines) > MAX_ITEMS:
        return quantity(len(lines), "line")
    return "\n".join(lines) if lines else None


def slower(old: float, new: float, factor: float, min_seconds: float = 0.1) -> list[Change]:
    """Return a change if `new` is at least `factor` times `old`, and `min_seconds` longer; none if `factor` is 0."""
    if factor <= 0 or new < old * factor or new - old < min_seconds:
        return []
    return [Change("time", f"{old * 1000:.0f} ms", f"{new * 1000:.0f} ms")]
