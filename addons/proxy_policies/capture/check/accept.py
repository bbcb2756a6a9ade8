"""Accepting a live response as the new baseline: the recorded response with the changes that count, and nothing else.

Noise stays as recorded, and so do values that later requests send back: links between entries are still found.
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from proxy_policies.capture.bodies import json_path, parsed_body
from proxy_policies.capture.bodies.json_path import PathStep
from proxy_policies.capture.bodies.parsed_body import BodyKind
from proxy_policies.capture.check.change import field_location
from proxy_policies.capture.check.unordered import Unordered, align
from proxy_policies.capture.har.body import charset
from proxy_policies.capture.model import Body, Entry, Headers, Response, header
from proxy_policies.capture.websocket.transcript import is_conversation

BODY_LOCATIONS = ("json:", "text:", "body", "header:content-type")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The locations whose live values are accepted: those that changed, except the sources of links.

    `restore(text)` returns the text with the recorded placeholders in place of the live ones.
    """

    locations: Collection[str]
    linked: Collection[str] = ()
    unordered: Sequence[Unordered] = ()
    restore: Callable[[str], str] = str

    def accepts(self, location: str) -> bool:
        """Return whether the live value at this location becomes the baseline."""
        return location in self.locations and location not in self.linked

    def accepts_body(self) -> bool:
        """Return whether any part of the body is accepted."""
        return any(location.startswith(BODY_LOCATIONS) for location in self.locations)


def refusal_reason(entry: Entry) -> str:
    """Return why the response to an entry cannot be accepted; empty if it can."""
    return "a WebSocket conversation: record it again" if is_conversation(entry.response) else ""


def accept(entry: Entry, new: Response, seconds: float, acceptance: Acceptance) -> Entry:
    """Return the entry with the accepted changes in its response. `seconds` is the live response's duration."""
    old, times = entry.response, entry.times
    response = replace(
        old,
        headers=_fields(old.headers, new.headers, "header", acceptance),
        trailers=_fields(old.trailers, new.trailers, "trailer", acceptance),
    )
    if acceptance.accepts("status"):
        response = replace(response, status=new.status, reason=new.reason)
    if acceptance.accepts_body():
        response = replace(response, body=_body(old, new, acceptance))
    if acceptance.accepts("time"):
        times = replace(times, response_start=None, response_end=times.request_start + seconds)
    return replace(entry, response=response, times=times, origin=None)


def _fields(old: Headers, new: Headers, kind: str, acceptance: Acceptance) -> Headers:
    """Return the recorded fields, accepted ones replaced where they stand, and new ones at the end."""
    accepted: dict[str, list[tuple[str, str]]] = {}
    for name, value in new:
        location = field_location(kind, name, value)
        if acceptance.accepts(location):
            accepted.setdefault(location, []).append((name, acceptance.restore(value)))
    fields: list[tuple[str, str]] = []
    for name, value in old:
        location = field_location(kind, name, value)
        fields += accepted.pop(location, []) if acceptance.accepts(location) else [(name, value)]
    return (*fields, *(field for fields_of_name in accepted.values() for field in fields_of_name))


def _body(old: Response, new: Response, acceptance: Acceptance) -> Body:
    if new.body.content == old.body.content:  # which is no change, also if it is declared in another charset
        return _new_body(new.body, acceptance)
    before, after = (parsed_body.parse(response.body, response.headers) for response in (old, new))
    if before.kind is not BodyKind.JSON or after.kind is not BodyKind.JSON:
        return _new_body(new.body, acceptance)
    aligned = align(before.value, after.value, acceptance.unordered)
    document = _merged(before.value, aligned, (), acceptance)
    if _is_same(document, _restored(after.value, acceptance)):  # nothing recorded stays: keep also how it is written
        return _new_body(new.body, acceptance)
    text = json.dumps(document, ensure_ascii=False, **_json_layout(new.body.content))
    return Body(text.encode(charset(header(new.headers, "content-type") or ""), "backslashreplace"))


def _is_same(one: Any, other: Any) -> bool:
    return one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)  # in Python, True == 1


def _json_layout(content: bytes) -> dict[str, Any]:
    """Return the arguments of `json.dumps` for the layout of this JSON: indented or not, with blanks or without."""
    if b"\n" in content.strip():
        return {"indent": 2}
    return {} if b'": ' in content else {"separators": (",", ":")}


def _new_body(body: Body, acceptance: Acceptance) -> Body:
    if b"secret_" not in body.content:
        return body
    text = acceptance.restore(body.content.decode("utf-8", "surrogateescape"))
    return replace(body, content=text.encode("utf-8", "surrogateescape"), wire=None)


def _merged(old: Any, new: Any, steps: tuple[PathStep, ...], acceptance: Acceptance) -> Any:
    """Return the new value, with the old one's leaves where no change was accepted."""
    if acceptance.accepts(f"json:{json_path.write(steps)}"):
        return _restored(new, acceptance)
    if isinstance(old, dict) and isinstance(new, dict):
        return dict(_members(old, new, steps, acceptance))
    if not isinstance(old, list) or not isinstance(new, list):
        return old
    if len(old) != len(new):  # items were added or removed: an index does not say which items belong together
        return _restored(new, acceptance)
    return [_merged(one, other, (*steps, at), acceptance) for at, (one, other) in enumerate(zip(old, new, strict=True))]


def _members(
    old: dict[str, Any], new: dict[str, Any], steps: tuple[PathStep, ...], acceptance: Acceptance
) -> Iterator[tuple[str, Any]]:
    for name, value in old.items():
        is_gone = name not in new and acceptance.accepts(f"json:{json_path.write((*steps, name))}")
        if not is_gone:
            yield name, _merged(value, new.get(name), (*steps, name), acceptance) if name in new else value
    for name in [name for name in new if name not in old]:
        if acceptance.accepts(f"json:{json_path.write((*steps, name))}"):
            yield name, _restored(new[name], acceptance)


def _restored(value: Any, acceptance: Acceptance) -> Any:
    if isinstance(value, str):
        return acceptance.restore(value)
    if isinstance(value, dict):
        return {name: _restored(item, acceptance) for name, item in value.items()}
    return [_restored(item, acceptance) for item in value] if isinstance(value, list) else value
