"""Matching a request with recorded ones: by method, URL, query, chosen fields and body.

The parts of a request that count are written as one canonical text. Two requests are equal if their texts are equal,
and similar if only dynamic values differ. `Matching` says which parts count.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.bodies import parsed_body
from proxy_policies.capture.bodies.json_path import Path, compile_path
from proxy_policies.capture.model import Request, header
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, without_kinds
from proxy_policies.log_lines import printable
from proxy_policies.options.parsers import require_one_name

MAX_SHOWN = 120  # characters of a part that is shown because it differs
KINDS = ("header", "query", "form", "json", "body", "host")
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Matching:
    """The parts that count: fields in `headers`, body, host. Parameters, form fields and JSONPaths are ignored ones."""

    headers: tuple[str, ...] = ()
    queries: frozenset[str] = frozenset()
    forms: frozenset[str] = frozenset()
    paths: tuple[Path, ...] = ()
    body: bool = True
    host: bool = True


def parse_matching(ignores: Iterable[str], headers: Sequence[str] = ()) -> Matching:
    """Return the parts that count, from specs of parts to ignore, and names of fields. Raise ValueError."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for spec in ignores:
        kind, colon, value = spec.partition(":")
        if kind not in found or bool(colon and value) == (kind in ("body", "host")):
            raise ValueError(f"{spec!r}: write query:NAME, form:NAME, json:JSONPATH, header:NAME, body or host")
        found[kind].append(value)
    for kind, names in (("match", headers), ("header", found["header"])):
        for name in names:
            require_one_name(f"{kind}:{name}", name, is_field=True)
    ignored = {name.lower() for name in found["header"]}
    return Matching(
        headers=tuple(sorted({name.lower() for name in headers} - ignored)),
        queries=frozenset(found["query"]),
        forms=frozenset(found["form"]),
        paths=tuple(compile_path(path) for path in found["json"]),
        body=not found["body"],
        host=not found["host"],
    )


@dataclass(frozen=True, slots=True)
class RequestKey:
    """The parts of a request that count, as JSON values."""

    method: str
    origin: str
    path: str
    query: list[list[str]]
    headers: list[list[str]]
    body: Any

    def canonical(self) -> str:
        """Return all parts as one text, with placeholders as captures of the first version have them, without kinds."""
        return without_kinds(json.dumps(self._parts(), sort_keys=True, ensure_ascii=False))

    def as_json(self) -> bytes:
        """Return all parts as JSON, which `from_json` reads."""
        return json.dumps(self._parts()).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Return the parts in JSON."""
        return cls(*json.loads(data))

    def _parts(self) -> list[Any]:
        return [self.method, self.origin, self.path, self.query, self.headers, self.body]


def request_key(request: Request, matching: Matching) -> RequestKey:
    """Return the parts of a request that count."""
    url = urlsplit(request.url)
    query = sorted([name, value] for name, value in parsed_body.form_pairs(url.query) if name not in matching.queries)
    port = url.port or _PORTS.get(url.scheme, 0)
    return RequestKey(
        request.method,
        f"{url.scheme}://{url.hostname}:{port}" if matching.host else "",
        url.path or "/",
        query,
        [[name, header(request.headers, name) or ""] for name in matching.headers],
        _body(request, matching) if matching.body else None,
    )


def _body(request: Request, matching: Matching) -> Any:
    parsed = parsed_body.parse(request.body, request.headers)
    if parsed.is_document and matching.paths:
        return [parsed.kind.value, without_paths(parsed.value, matching)]
    if parsed.kind in (parsed_body.BodyKind.FORM, parsed_body.BodyKind.MULTIPART):
        return [parsed.kind.value, [pair for pair in parsed.canonical() if pair[0] not in matching.forms]]
    return [parsed.kind.value, parsed.canonical()]


def without_paths(document: Any, matching: Matching) -> Any:
    """Return the document with null for the values that the ignored paths select."""
    found = [list(node.parts) for path in matching.paths for node in path.finditer(document)]
    for parts in sorted(found, key=lambda parts: (-len(parts), [str(part).zfill(9) for part in parts]), reverse=False):
        document = _without_value(document, parts)
    return document


def _without_value(document: Any, parts: list[Any]) -> Any:
    if not parts:
        return None
    inner = document
    for part in parts[:-1]:
        inner = inner[part]
    inner[parts[-1]] = None
    return document


@dataclass(frozen=True, slots=True)
class Difference:
    """A part that differs, recorded and received, as texts."""

    part: str
    recorded: str
    got: str

    def __str__(self) -> str:
        return printable(f"{self.part}: recorded {_short(self.recorded)}, got {_short(self.got)}")


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def differences(recorded: RequestKey, got: RequestKey) -> list[Difference]:
    """Return the parts that differ, most important first; of lists only the items that differ."""
    pairs = [(name, getattr(recorded, name), getattr(got, name)) for name in RequestKey.__slots__]
    return [Difference(name, *_differing(old, new)) for name, old, new in pairs if old != new]


def _differing(old: Any, new: Any) -> tuple[str, str]:
    """Return the differing parts of two values as texts: items of lists, texts from shortly before the difference."""
    if isinstance(old, list) and isinstance(new, list):
        if len(old) == len(new) == 2 and old[0] == new[0] and isinstance(old[0], str):
            return _differing(old[1], new[1])  # a body: its kind and its value
        return _as_text([item for item in old if item not in new]), _as_text([item for item in new if item not in old])
    one, other = _as_text(old), _as_text(new)
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    begin = max(0, start - 40) if start > 80 else 0
    return ("…" if begin else "") + one[begin:], ("…" if begin else "") + other[begin:]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def is_instance_of(recorded: str, got: str) -> bool:
    """Return whether a canonical text is the recorded one if each placeholder in that stands for any value."""
    pieces = PLACEHOLDER.split(recorded)
    if len(pieces) == 1 or not (got.startswith(pieces[0]) and got.endswith(pieces[-1])):
        return False
    return re.fullmatch(r'[^"]*?'.join(map(re.escape, pieces)), got) is not None


def similarity(one: RequestKey, other: RequestKey) -> int:
    """Return a weight for the similarity of two requests; the path counts most."""
    same = [name for name in RequestKey.__slots__ if getattr(one, name) == getattr(other, name)]
    weights = {"path": 8, "method": 4, "origin": 3, "query": 3, "body": 2, "headers": 1}
    segments = set(one.path.split("/")) & set(other.path.split("/"))
    return sum(weights[name] for name in same) + min(5, len(segments))


def matches_recorded(recorded: str, got: str, exact: bool = False, any_secret: bool = False) -> bool:
    """Return whether a canonical text matches the recorded one: equal, or unless `exact`, except for dynamic values.

    `any_secret`: a recorded placeholder matches any value.
    """
    is_similar = recorded == got if exact else dynamic_values.mask(recorded) == dynamic_values.mask(got)
    return is_similar or (any_secret and is_instance_of(recorded, got))
