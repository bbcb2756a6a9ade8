"""Redacts and lays out entries in parts, as the same heads, contents and notes come in many exchanges.

A part is redacted once. An entry is made of parts only if no known secret is left in it: its lines are those of
redacting it as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from proxy_policies.capture.har import entry_forms, line_framing
from proxy_policies.capture.har.entry_writer import write_entry
from proxy_policies.capture.model import NO_BODY, Body, Entry, Headers, Request, Response, Times, header
from proxy_policies.capture.secrets.redact import UNSEARCHED, RedactedPart, Redactor, unsearched_bodies
from proxy_policies.capture.secrets.redact_message import CREDENTIALS
from proxy_policies.capture.secrets.searchable import unsearched_reason

MAX_SIZE = 4 << 20
"""Maximum characters of the recent parts; those that were recent before them are kept until these are as many."""
MAX_REPEATED = 128 << 10
"""Maximum bytes of an entry that is kept as a whole: a longer one is searched and written in the thread."""
PART_SIZE = 512
"""As how many characters the key and the objects of a part count."""
_NO_REQUEST, _NO_RESPONSE, _NO_TIMES = Request("", ""), Response(0), Times(0)
_SHAPING = frozenset((*CREDENTIALS, "content-type", "content-encoding", "cookie", "set-cookie", "location"))
"""Fields that an entry also has in another form, or on which the redaction of others depends."""

type PartKey = tuple[Any, ...]
"""All that a part is made of."""


class Repeatable(NamedTuple):
    """What differs between entries of the same key."""

    key: PartKey
    """All else that an entry is made of."""
    url: str
    times: Times
    entry_id: str


@dataclass(slots=True, eq=False)
class _Part(RedactedPart):
    """A part with its JSON, and the facts that other parts need."""

    json: bytes = b""
    """A form, if it is a head or notes."""
    pieces: Sequence[bytes] = ()
    """Of an entry, those around its URL, times and id."""
    content_kind: tuple[str, str] = ("", "")
    """Of a head, the media type and the content coding."""
    is_shaping: bool = False
    """Of a field line, whether other parts of its head depend on it."""
    body: Body = NO_BODY
    """Of a content, without secrets."""
    unsearched: str = ""
    """Why a content could not be searched."""


class EntryLines:
    """Lays out entries in the order of recording, without their secrets; for use by one thread at a time."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._recent: dict[PartKey, _Part] = {}
        self._older: dict[PartKey, _Part] = {}
        self._size = 0  # of the recent ones
        self._made = 0  # parts that were not there before

    def of(self, entry: Entry, key: PartKey | None = None) -> bytes:
        """Return the lines of an entry; entries with the same key differ in their URL, times and id only."""
        if _has_parts(entry) and not (self._redactor.is_strict and unsearched_bodies(entry)):
            try:
                if lines := self._of_parts(entry, key):
                    return lines
            except TypeError:  # a value that only json can write
                pass
        return line_framing.entry_lines(write_entry(self._redactor.entry(entry)))

    def again(self, key: PartKey, url: str, times: Times, entry_id: str) -> bytes:
        """Return the lines of an entry with the key of an earlier one; empty if it has to be made."""
        try:
            if (part := self._find(key)) is None:
                return b""
            url = self._redactor.url(url)
            is_clean = not self._redactor.has_known(url, (part,))
            return entry_forms.complete(part.pieces, url, times, entry_id) if is_clean else b""
        except TypeError:  # of() writes what only json can write, and field lines of addons that are not tuples
            return b""

    def _of_parts(self, entry: Entry, key: PartKey | None) -> bytes:
        """Return the lines of an entry; empty if it has to be redacted as a whole."""
        url, made = self._redactor.url(entry.request.url), self._made
        parts, pieces = self._parts(entry)
        if not parts or self._redactor.has_known(url, parts):
            return b""
        if key is not None and made == self._made and _length(pieces) <= MAX_REPEATED:
            self._keep(key, _joined(parts, pieces=pieces))
        return entry_forms.complete(pieces, url, entry.times, entry.id)

    def _parts(self, entry: Entry) -> tuple[Sequence[_Part], Sequence[bytes]]:
        """Return the parts of an entry, and its JSON around its URL, times and id; nothing if the parts do not fit."""
        request, response, origin = entry.request, entry.response, entry.origin
        has_body, server_ip = request.body != NO_BODY, entry.connection_info.get("server_ip")
        head = self._head((request.method, request.version, has_body), request.headers, is_response=False)
        sent = self._content(head, request.body, is_response=False)
        answer_head = self._response_head(response)
        origin_head = self._response_head(origin) if origin is not None else answer_head
        is_forwarded = origin is not None and origin.body == response.body
        if is_forwarded and origin_head.content_kind != answer_head.content_kind:
            return (), ()  # the same content has two media types
        answer = self._content(answer_head, response.body, is_response=True)
        parts = [head, sent, answer_head, answer]
        unsearched = [("request", sent.unsearched), ("response", answer.unsearched)]
        request_json = head.json % ((_size(sent.body), sent.json) if has_body else (b"0",))
        filled = [request_json, answer_head.json % (answer.json, _size(answer.body))]
        if server_ip:
            filled.append(line_framing.text_line(server_ip))
        if origin is not None:
            content = answer if is_forwarded else self._content(origin_head, origin.body, is_response=True)
            parts += (origin_head, content)
            unsearched.append(("origin", content.unsearched))
            is_same = content.body == answer.body
            shown = (entry_forms.SAME_CONTENT, b"0") if is_same else (content.json, _size(content.body))
            filled.append(origin_head.json % shown)
        notes, connections = self._notes(entry, unsearched), self._connections(entry.connection_info)
        pieces = entry_forms.split(notes.json % (*filled, connections.json))
        return (*parts, notes, connections), pieces

    def _response_head(self, response: Response) -> _Part:
        return self._head((response.status, response.reason, response.version), response.headers, is_response=True)

    def _head(self, start: PartKey, headers: Headers, is_response: bool) -> _Part:
        """Return the head of a message; `start` is what else it has than fields."""
        key = (*start, headers)
        return self._find(key) or self._keep(key, self._new_head(start, headers, is_response))

    def _new_head(self, start: PartKey, headers: Headers, is_response: bool) -> _Part:
        lines = [self._field(line, is_response) for line in headers]
        shaping = tuple([line for line, part in zip(headers, lines, strict=True) if part.is_shaping])
        key = (start, shaping)
        bare = self._find(key) or self._keep(key, self._new_bare_head(start, shaping, is_response))
        json = line_framing.with_fields(bare.json, [part.json for part in lines])
        return replace(_joined((bare, *lines)), json=json, content_kind=bare.content_kind)

    def _new_bare_head(self, start: PartKey, shaping: Headers, is_response: bool) -> _Part:
        """Return the head of a message without the JSON of its fields."""
        request, response = _NO_REQUEST, _NO_RESPONSE
        if is_response:
            status, reason, version = start
            response = Response(status, reason, shaping, version=version)
        else:
            method, version, has_body = start
            request = Request(method, "", shaping, version=version)
        clean, secrets, text = self._redactor.part(Entry(request, response, _NO_TIMES))
        if is_response:
            form, headers = entry_forms.response_form(clean.response), clean.response.headers
        else:
            form, headers = entry_forms.request_form(clean.request, has_body), clean.request.headers
        media_type, coding = (header(shaping, name) or "" for name in ("content-type", "content-encoding"))
        if media_type != (header(headers, "content-type") or ""):
            raise TypeError("a media type with a secret")
        return _Part(secrets, text, json=form, content_kind=(media_type, coding))

    def _field(self, line: tuple[str, str], is_response: bool) -> _Part:
        key = (is_response, line)
        return self._find(key) or self._keep(key, self._new_field(*line, is_response))

    def _new_field(self, name: str, value: str, is_response: bool) -> _Part:
        clean, secrets = self._redactor.field(name, value, is_response)
        json = line_framing.pair_line(name, clean)
        return _Part(secrets, clean, json=json, is_shaping=name.lower() in _SHAPING)

    def _content(self, head: _Part, body: Body, is_response: bool) -> _Part:
        """Return the content of a message with this head."""
        key = (is_response, head.content_kind, body.content, body.wire)
        return self._find(key) or self._keep(key, self._new_content(head, body, is_response))

    def _new_content(self, head: _Part, body: Body, is_response: bool) -> _Part:
        media_type, coding = head.content_kind
        fields = (("Content-Type", media_type), ("Content-Encoding", coding))
        if is_response:
            clean, secrets, text = self._redactor.part(Entry(_NO_REQUEST, Response(0, "", fields, body), _NO_TIMES))
            content = clean.response.body
            json = entry_forms.response_content(content, media_type)
        else:
            clean, secrets, text = self._redactor.part(Entry(Request("", "", fields, body), _NO_RESPONSE, _NO_TIMES))
            content = clean.request.body
            json = entry_forms.request_content(content, media_type)
        return _Part(secrets, text, json=json, body=content, unsearched=unsearched_reason(body, fields))

    def _notes(self, entry: Entry, unsearched: Sequence[tuple[str, str]]) -> _Part:
        has_origin, has_server = entry.origin is not None, bool(entry.connection_info.get("server_ip"))
        closed = (entry.close_code, entry.close_reason, entry.closed_by_client)
        texts = orjson.dumps((entry.trace, entry.comment, entry.error, closed))
        key = (texts, has_origin, has_server, *unsearched)
        return self._find(key) or self._keep(key, self._new_notes(entry, has_origin, has_server, unsearched))

    def _new_notes(
        self, entry: Entry, has_origin: bool, has_server: bool, unsearched: Sequence[tuple[str, str]]
    ) -> _Part:
        notes = replace(
            entry,
            request=_NO_REQUEST,
            response=_NO_RESPONSE,
            origin=_NO_RESPONSE if has_origin else None,
            connection_info={"server_ip" if has_server else "client": "-"},
        )
        clean, secrets, text = self._redactor.part(notes)
        if reasons := {name: reason for name, reason in unsearched if reason}:
            clean = replace(clean, extra={UNSEARCHED: reasons})
        return _Part(secrets, text, json=entry_forms.entry_form(clean))

    def _connections(self, info: Mapping[str, Any]) -> _Part:
        key = (orjson.dumps(info),)
        return self._find(key) or self._keep(key, self._new_connections(info))

    def _new_connections(self, info: Mapping[str, Any]) -> _Part:
        clean, secrets, text = self._redactor.part(Entry(_NO_REQUEST, _NO_RESPONSE, _NO_TIMES, connection_info=info))
        return _Part(secrets, text, json=entry_forms.connections(clean))

    def _find(self, key: PartKey) -> _Part | None:
        """Return a part that was made before, as if it was redacted again; None if there is none."""
        part = self._recent.get(key)
        if part is None:
            part = self._older.get(key)
            if part is None:
                return None
            self._store(key, part)
        if part.secrets:
            self._redactor.hide_again(part)
        return part

    def _keep(self, key: PartKey, part: _Part) -> _Part:
        """Store a new part, and return it."""
        self._made += 1
        self._store(key, part)
        return part

    def _store(self, key: PartKey, part: _Part) -> None:
        size = PART_SIZE + len(part.text) + len(part.json) + _length(part.pieces)
        if self._size + size > MAX_SIZE:
            self._older, self._recent, self._size = self._recent, {}, 0
        if size <= MAX_SIZE:
            self._recent[key] = part
            self._size += size


def _has_parts(entry: Entry) -> bool:
    """Return whether an entry has nothing that is not made of parts."""
    request, response, origin = entry.request, entry.response, entry.origin
    if entry.messages or entry.extra or request.target or not (entry.id and entry.connection_info):
        return False
    is_plain = not (request.trailers or response.trailers) and _is_whole(request.body) and _is_whole(response.body)
    return is_plain and (origin is None or (not origin.trailers and _is_whole(origin.body)))


def _is_whole(body: Body) -> bool:
    return body is NO_BODY or not (body.dropped or body.sha256 or body.cut or body.frame_times)


def _joined(parts: Sequence[_Part], pieces: Sequence[bytes] = ()) -> _Part:
    """Return one part with the secrets and texts of several."""
    secrets, generations = [pair for part in parts for pair in part.secrets], {part.searched_for for part in parts}
    searched_for = generations.pop() if len(generations) == 1 else -1
    return _Part(secrets, "\0".join([part.text for part in parts]), searched_for, pieces=pieces)


def _length(pieces: Sequence[bytes]) -> int:
    return sum(map(len, pieces))


def _size(body: Body) -> bytes:
    return b"%d" % len(body.content if body.wire is None else body.wire)
