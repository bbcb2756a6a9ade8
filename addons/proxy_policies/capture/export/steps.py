"""A capture as the steps of a script: requests in order, with the values carried over from responses.

Carried values are found as in `check`. The texts of a step have markers for them, and for secrets, which come from the
environment.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from proxy_policies.capture import json_path, locations
from proxy_policies.capture.check.correlate import find_links
from proxy_policies.capture.check.link_table import Link
from proxy_policies.capture.export.curl import fields_of
from proxy_policies.capture.har.body import as_text
from proxy_policies.capture.model import Entry, Request, header
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER
from proxy_policies.capture.websocket.transcript import is_conversation

_MARKER = re.compile(r"\ue000([A-Za-z0-9_]+)\ue001|%EE%80%80([A-Za-z0-9_]+)%EE%80%81")
_SOURCES = ("cookie:", "header:", "json:", "input:")

type VariablesByStep = defaultdict[int, dict[str, str]]
"""Names of variables, by the index of an entry and the location in its request or response."""


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
    steps: tuple[Step, ...]
    secrets: tuple[str, ...]


def script_of(entries: Iterable[Entry]) -> Script:
    """Return the script of a capture, without WebSocket connections and requests without a response."""
    chosen = [entry for entry in entries if entry.response.status >= 200 and not is_conversation(entry.response)]
    chosen.sort(key=lambda entry: entry.times.request_start)
    inserts, extracts = _variables(find_links(range(len(chosen)), chosen))
    origins = Counter(entry.request.origin for entry in chosen).most_common(1)
    origin = origins[0][0] if origins else ""
    secrets: dict[str, None] = {}
    steps = []
    for number, entry in enumerate(chosen):
        extracted = tuple((name, where) for where, name in extracts[number].items())
        steps.append(_step(number + 1, entry, origin, inserts[number], extracted, secrets))
    return Script(origin, tuple(steps), tuple(secrets))


def _variables(links: Iterable[Link]) -> tuple[VariablesByStep, VariablesByStep]:
    """Return the variables to insert into the request of each step, and to extract from its response."""
    inserts: VariablesByStep = defaultdict(dict)
    extracts: VariablesByStep = defaultdict(dict)
    count = 0
    for link in links:
        if not link.source.startswith(_SOURCES):
            continue
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
    request = _marked(entry.request, inserts)
    for location in list(locations.values_in_request(request)):
        if PLACEHOLDER.search(location.value):
            name = re.sub(r"\W+", "_", location.name).strip("_").upper() or "SECRET"
            secrets[name] = None
            value = PLACEHOLDER.sub(_mark(name), location.value)
            request = locations.set_values(request, {location.where: value})
    text = as_text(request.body.content, header(request.headers, "content-type") or "")
    return Step(
        number,
        request.method,
        request.url.removeprefix(origin) if request.url.startswith(f"{origin}/") else request.url,
        tuple(fields_of(replace(request, url=entry.request.url))),
        text,
        request.body.content,
        entry.response.status,
        extracts,
    )


def _marked(request: Request, inserts: dict[str, str]) -> Request:
    """Return the request with a marker for each carried value; for a number without quotes."""
    numbers = [where for where in inserts if _is_number(request, where)]
    marked = locations.set_values(request, {where: _mark(name) for where, name in inserts.items()})
    content = marked.body.content
    for where in numbers:
        mark = _mark(inserts[where])
        content = content.replace(f'"{mark}"'.encode(), mark.encode())
    return marked if content == marked.body.content else replace(marked, body=replace(marked.body, content=content))


def _is_number(request: Request, where: str) -> bool:
    if not where.startswith("json:"):
        return False
    text = request.body.content.decode("utf-8", "replace")
    steps = json_path.read(where[5:])
    return bool(steps) and bool(re.search(rf'"{re.escape(str(steps[-1]))}"\s*:\s*-?\d', text))


def _mark(name: str) -> str:
    return f"\ue000{name}\ue001"


def split_markers(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a step's text: literal text (False), and names of variables (True)."""
    end = 0
    for found in _MARKER.finditer(text):
        if found.start() > end:
            yield text[end : found.start()], False
        yield found[1] or found[2], True
        end = found.end()
    if end < len(text) or not end:
        yield text[end:], False


def expression(text: str, literal: Callable[[str], str], variable: Callable[[str], str] = str) -> str:
    """Return a step's text as an expression of a language: its literals and variables, joined with `+`."""
    return " + ".join(variable(piece) if is_name else literal(piece) for piece, is_name in split_markers(text))


def json_expression(path: str, literal: Callable[[str | int], str]) -> str:
    """Return the expression of a language for the value at a path in the JSON of `response`."""
    return "response.json()" + "".join(f"[{literal(step)}]" for step in json_path.read(path))
