"""A capture as the steps of a script: requests in order, with the values carried over from responses.

Carried values are found as in `check`. The texts of a step have markers for them, for secrets, which come from the
environment, and for the origin.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from proxy_policies.capture import locations
from proxy_policies.capture.bodies import json_path
from proxy_policies.capture.bodies.parsed_body import BodyKind, parse
from proxy_policies.capture.check.correlate import find_links
from proxy_policies.capture.check.link_table import Link
from proxy_policies.capture.check.targets import ORIGIN_HEADERS
from proxy_policies.capture.export.curl import sent_fields
from proxy_policies.capture.files.pickled_items import PickledItems
from proxy_policies.capture.har.body import decode_text
from proxy_policies.capture.model import NO_BODY, Entry, Request, header
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, is_number
from proxy_policies.capture.websocket.transcript import is_conversation

ORIGIN = "TARGET"
"""The variable of the origin to which the script is sent."""
_MARKER = re.compile(
    "\ue000(?P<raw>[A-Za-z0-9_]+)\ue001|%EE%80%80(?P<url>[A-Za-z0-9_]+)%EE%80%81|\ue002(?P<json>[A-Za-z0-9_]+)\ue003"
)
_AS_RAW = str.maketrans("\ue002\ue003", "\ue000\ue001")
"""Makes a marker of a JSON string one of any text."""

type VariablesByStep = defaultdict[int, dict[str, str]]
"""Names of variables, by the index of an entry and the location in its request or response."""


class PieceKind(Enum):
    """What a piece of a step's text is: literal text, or the name of a variable and how its value is written there."""

    LITERAL = "literal"
    RAW = "raw"
    URL = "url"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Step:
    """A request, its recorded status, and the values to extract from its response: variable and location."""

    number: int
    method: str
    path: str
    """Without the script's origin; a complete URL for another origin."""
    headers: tuple[tuple[str, str], ...]
    text: str | None
    content: bytes
    status: int
    extracts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    """The steps, their most frequent origin, and the names of secrets, which are read from the environment."""

    origin: str
    steps: Sequence[Step]
    secrets: tuple[str, ...]


def script_of(entries: Iterable[Entry]) -> Script:
    """Return the script of a capture, without WebSocket connections and requests without a response."""
    chosen, starts, origins = PickledItems[Entry](), list[float](), Counter[str]()
    for entry in entries:
        if entry.response.status >= 200 and not is_conversation(entry.response):
            chosen.append(_without_stream(entry))
            starts.append(entry.times.request_start)
            origins[entry.request.origin] += 1
    order = sorted(range(len(starts)), key=starts.__getitem__)
    inserts, extracts = _variables(find_links(order, chosen))
    origin = max(origins, key=origins.__getitem__, default="")
    secrets: dict[str, None] = {}
    steps = PickledItems[Step]()
    for number, at in enumerate(order, 1):
        extracted = tuple((name, where) for where, name in extracts[at].items())
        steps.append(_step(number, chosen[at], origin, inserts[at], extracted, secrets))
    return Script(origin, steps, tuple(secrets))


def _without_stream(entry: Entry) -> Entry:
    """Return the entry without a streamed response, as the scripts do not read streams frame by frame."""
    response = entry.response
    is_stream = parse(response.body, response.headers).kind is BodyKind.STREAM
    return replace(entry, response=replace(response, body=NO_BODY)) if is_stream else entry


def _variables(links: Iterable[Link]) -> tuple[VariablesByStep, VariablesByStep]:
    """Return the variables to insert into the request of each step, and to extract from its response."""
    inserts: VariablesByStep = defaultdict(dict)
    extracts: VariablesByStep = defaultdict(dict)
    count = 0
    for link in links:
        sources = extracts[link.source_entry]
        if link.source not in sources:
            count += 1
            sources[link.source] = f"v{count}"
        inserts[link.target_entry][link.target] = sources[link.source]
    return inserts, extracts


def _step(
    number: int,
    entry: Entry,
    origin: str,
    inserts: dict[str, str],
    extracts: tuple[tuple[str, str], ...],
    secrets: dict[str, None],
) -> Step:
    request = _marked(entry.request, inserts, secrets)
    text = decode_text(request.body.content, header(request.headers, "content-type") or "")
    return Step(
        number,
        request.method,
        request.url.removeprefix(origin) if request.url.startswith(f"{origin}/") else request.url,
        tuple(_fields(replace(request, url=entry.request.url), origin)),
        text,
        request.body.content,
        entry.response.status,
        extracts,
    )


def _variable_name(name: str) -> str:
    """Return a name for an environment variable, which is also one for a variable of Python and JavaScript."""
    text = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").upper() or "SECRET"
    return f"SECRET_{text}" if text[0].isdigit() or text == ORIGIN else text


def _fields(request: Request, origin: str) -> Iterator[tuple[str, str]]:
    """Yield the fields; those that name the script's origin with a marker for it."""
    for name, value in sent_fields(request):
        is_own = name.lower() in ORIGIN_HEADERS and f"{value}/".startswith(f"{origin}/")
        yield name, f"{_mark(ORIGIN)}{value.removeprefix(origin)}" if is_own else value


def _marked(request: Request, inserts: dict[str, str], secrets: dict[str, None]) -> Request:
    """Return the request with a marker for each carried value and each secret; add the names of these."""
    values = {}
    for where, name, value in ((one.where, one.name, one.value) for one in locations.values_in_request(request)):
        if where in inserts:
            values[where] = _mark(inserts[where], where)
        elif PLACEHOLDER.search(value):
            secrets[variable := _variable_name(name)] = None
            values[where] = PLACEHOLDER.sub(_mark(variable, where), value)
    marked = locations.set_values(request, values)
    content = marked.body.content
    for where in _numbers(request) & values.keys():
        content = content.replace(f'"{values[where]}"'.encode(), values[where].translate(_AS_RAW).encode())
    return marked if content == marked.body.content else replace(marked, body=replace(marked.body, content=content))


def _numbers(request: Request) -> set[str]:
    """Return the locations of the numbers in a JSON body."""
    parsed = parse(request.body, request.headers)
    leaves = json_path.written_leaves(parsed.value) if parsed.kind is BodyKind.JSON else ()
    return {f"json:{path}" for path, _, value in leaves if type(value) in (int, float) or is_number(value)}


def _mark(name: str, where: str = "") -> str:
    """Return the marker of a variable; in URLs and forms, it is then percent-encoded with the rest."""
    return f"\ue002{name}\ue003" if where.startswith("json:") else f"\ue000{name}\ue001"


def split_markers(text: str) -> Iterator[tuple[str, PieceKind]]:
    """Yield the pieces of a step's text."""
    end = 0
    for found in _MARKER.finditer(text):
        if found.start() > end:
            yield text[end : found.start()], PieceKind.LITERAL
        kind = str(found.lastgroup)
        yield found[kind], PieceKind(kind)
        end = found.end()
    if end < len(text) or not end:
        yield text[end:], PieceKind.LITERAL


def expression(text: str, writers: dict[PieceKind, Callable[[str], str]]) -> str:
    """Return a step's text as an expression of a language: its literals and variables, joined with `+`."""
    return " + ".join(writers[kind](piece) for piece, kind in split_markers(text))


def json_expression(path: str, literal: Callable[[str | int], str]) -> str:
    """Return the expression of a language for the value at a path in the JSON of `response`."""
    return "response.json()" + "".join(f"[{literal(step)}]" for step in json_path.read(path))
