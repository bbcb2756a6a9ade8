"""The secrets that redaction replaced in an entry: their locations and placeholders, never their values."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from proxy_policies.capture import locations
from proxy_policies.capture.model import Entry, Request, Response
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER

SIDES = ("request", "response", "origin")


@dataclass(frozen=True, slots=True)
class ReplacedSecret:
    """A replaced secret: its message, its location there (`json:$.password`, `body line 3`), and its placeholder."""

    side: str
    location: str
    placeholder: str


def findings(before: Entry, after: Entry) -> Iterator[ReplacedSecret]:
    """Yield the secrets replaced in an entry, each placeholder once per location."""
    for side in SIDES:
        old, new = getattr(before, side), getattr(after, side)
        if old is not None and old != new:
            found = dict.fromkeys(_placeholders_in(new))
            known = set(_placeholders_in(old))
            yield from (ReplacedSecret(side, *place) for place in found if place not in known)
    for number, (old_message, new_message) in enumerate(zip(before.messages, after.messages, strict=True), 1):
        if old_message.data != new_message.data:
            for placeholder in dict.fromkeys(PLACEHOLDER.findall(new_message.data.decode("latin-1"))):
                yield ReplacedSecret(
                    "client" if new_message.from_client else "server", f"message {number}", placeholder
                )
    known = set(PLACEHOLDER.findall(_notes_text(before)))
    for placeholder in dict.fromkeys(PLACEHOLDER.findall(_notes_text(after))):
        if placeholder not in known:
            yield ReplacedSecret("notes", "beside the messages", placeholder)


def _notes_text(entry: Entry) -> str:
    """Return the texts of an entry outside its messages as JSON: comment, errors, trace, fields of other tools."""
    notes = [entry.close_reason, entry.error, entry.comment, list(entry.trace), dict(entry.connection_info)]
    return json.dumps([*notes, dict(entry.extra)], default=str)


def _placeholders_in(message: Request | Response) -> Iterator[tuple[str, str]]:
    """Yield each location with its placeholder: a named value where possible, else a field or a line."""
    if isinstance(message, Request):
        values = locations.values_in_request(message)
    else:
        values = locations.values_in_response(message)
    seen: set[str] = set()
    for location in values:
        for placeholder in PLACEHOLDER.findall(location.value):
            seen.add(placeholder)
            yield location.where, placeholder
    for where, text in _texts(message):
        yield from ((where, placeholder) for placeholder in PLACEHOLDER.findall(text) if placeholder not in seen)


def _texts(message: Request | Response) -> Iterator[tuple[str, str]]:
    if isinstance(message, Request):
        yield "url", message.url
    for name, value in (*message.headers, *message.trailers):
        yield f"header:{name.lower()}", value
    content = message.body.content
    if b"secret_" in content:
        for number, line in enumerate(content.decode("latin-1").splitlines(), 1):
            yield f"body line {number}", line
