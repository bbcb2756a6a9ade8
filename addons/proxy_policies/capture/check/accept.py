"""What came made the new baseline: the recorded answer with what changed in it, and all else as it was.

Noise stays as it was recorded, and so do values that later requests of the recording hand back: they are still found.
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from proxy_policies.capture import json_path, parsed_body
from proxy_policies.capture.check.unordered import Unordered, align
from proxy_policies.capture.har.body import charset
from proxy_policies.capture.json_path import Step
from proxy_policies.capture.model import Body, Entry, Headers, Response, header
from proxy_policies.capture.parsed_body import BodyKind
from proxy_policies.capture.websocket.transcript import is_conversation

BODY_PLACES = ("json:", "text:", "body")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What is accepted of an answer: the locations that changed, but for those that are handed back later.

    `restore(text)` puts the recorded placeholder in for each one that stands for it now.
    """

    locations: Collection[str]
    handed_back: Collection[str] = ()
    unordered: Sequence[Unordered] = ()
    restore: Callable[[str], str] = str

    def takes(self, location: str) -> bool:
        """Return whether what came at this location becomes the baseline."""
        return location in self.locations and location not in self.handed_back

    def takes_body(self) -> bool:
        """Return whether anything in the body does."""
        return any(location.startswith(BODY_PLACES) for location in self.locations)


def refusal(entry: Entry) -> str:
    """Return why the answer to an entry cannot be accepted; empty when it can."""
    return "a WebSocket conversation: record it again" if is_conversation(entry.response) else ""


def accept(entry: Entry, new: Response, seconds: float, what: Acceptance) -> Entry:
    """Return the entry with what changed in its answer."""
    old, times = entry.response, entry.times
    response = replace(old, headers=_headers(old.headers, new.headers, what))
    if what.takes("status"):
        response = replace(response, status=new.status, reason=new.reason)
    if what.takes_body():
        response = replace(response, body=_body(old, new, what))
    if what.takes("time"):
        times = replace(times, response_start=None, response_end=times.request_start + seconds)
    return replace(entry, response=response, times=times, origin=None)


def _headers(old: Headers, new: Headers, what: Acceptance) -> Headers:
    """Return the recorded fields, with those that changed in their places and new ones at the end."""
    came: dict[str, list[tuple[str, str]]] = {}
    for name, value in new:
        if what.takes(_location(name, value)):
            came.setdefault(_location(name, value), []).append((name, what.restore(value)))
    fields: list[tuple[str, str]] = []
    for name, value in old:
        location = _location(name, value)
        fields += came.pop(location, []) if what.takes(location) else [(name, value)]
    return (*fields, *(field for fields_of_name in came.values() for field in fields_of_name))


def _location(name: str, value: str) -> str:
    if name.lower() == "set-cookie":
        return f"cookie:{value.partition('=')[0].strip()}"
    return "cache" if name.lower() == "cache-status" else f"header:{name.lower()}"


def _body(old: Response, new: Response, what: Acceptance) -> Body:
    before, after = (parsed_body.parse(response.body, response.headers) for response in (old, new))
    mime = header(new.headers, "content-type") or ""
    if before.kind is not BodyKind.JSON or after.kind is not BodyKind.JSON:
        return _text_body(new.body, mime, what)
    aligned = align(before.value, after.value, what.unordered)
    document = _merged(before.value, aligned, (), what)
    text = json.dumps(document, ensure_ascii=False, **_layout(new.body.content))
    return Body(text.encode(charset(mime), "replace"))


def _layout(content: bytes) -> dict[str, Any]:
    """Return how JSON is written: on lines, or on one, with blanks or without."""
    if b"\n" in content.strip():
        return {"indent": 2}
    return {} if b'": ' in content else {"separators": (",", ":")}


def _text_body(body: Body, mime: str, what: Acceptance) -> Body:
    if b"secret_" not in body.content:
        return body
    text = what.restore(body.content.decode("utf-8", "surrogateescape"))
    return replace(body, content=text.encode("utf-8", "surrogateescape"), wire=None)


def _merged(old: Any, new: Any, steps: tuple[Step, ...], what: Acceptance) -> Any:
    """Return the new value, with the old one's leaves where nothing changed that counts."""
    if what.takes(f"json:{json_path.write(steps)}"):
        return _restored(new, what)
    if isinstance(old, dict) and isinstance(new, dict):
        return dict(_members(old, new, steps, what))
    if not isinstance(old, list) or not isinstance(new, list):
        return old
    if len(old) != len(new):  # items came or went: which fits which is not known by its place
        return _restored(new, what)
    return [_merged(one, other, (*steps, at), what) for at, (one, other) in enumerate(zip(old, new, strict=True))]


def _members(
    old: dict[str, Any], new: dict[str, Any], steps: tuple[Step, ...], what: Acceptance
) -> Iterator[tuple[str, Any]]:
    for name, value in old.items():
        is_gone = name not in new and what.takes(f"json:{json_path.write((*steps, name))}")
        if not is_gone:
            yield name, _merged(value, new.get(name), (*steps, name), what) if name in new else value
    for name in [name for name in new if name not in old]:
        if what.takes(f"json:{json_path.write((*steps, name))}"):
            yield name, _restored(new[name], what)


def _restored(value: Any, what: Acceptance) -> Any:
    if isinstance(value, str):
        return what.restore(value)
    if isinstance(value, dict):
        return {name: _restored(item, what) for name, item in value.items()}
    return [_restored(item, what) for item in value] if isinstance(value, list) else value
