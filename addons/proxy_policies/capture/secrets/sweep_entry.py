"""Find and replace known secrets in all of an entry, except the authority of a URL."""

import re
from dataclasses import replace
from typing import Any

from proxy_policies.capture.model import (
    SMALL,
    Body,
    Entry,
    Headers,
    Request,
    Response,
    WebSocketMessage,
    header,
    size_of,
)
from proxy_policies.capture.secrets.known_secrets import KnownSecrets, Spelling, sweep
from proxy_policies.capture.streams.events import binary_texts, rewrite_binary

MAX_CLEAN = 1024
"""Maximum number of fields of messages and of small contents cached as free of known secrets."""
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/?#]*)")
_LISTS = (list, tuple)
_CONTAINERS = (dict, *_LISTS)
"""Types of JSON values with others in them; a union of types would be made anew for each value."""

type Searched = Headers | tuple[str, bytes]
"""The fields of a message, or its media type and content."""
type Spellings = list[Spelling]
"""Spellings of secrets in an entry, with their placeholders."""


class SearchedTexts:
    """Searches entries for known secrets, and caches which fields and contents have none, to skip them later."""

    def __init__(self) -> None:
        self._clean: set[Searched] = set()
        self._generation = 0  # of the known secrets they were searched for

    def within(self, entry: Entry, known: KnownSecrets) -> Spellings:
        """Return the spellings of known secrets in an entry."""
        if not known:
            return []
        if self._generation != known.generation or len(self._clean) >= MAX_CLEAN:
            self._generation = known.generation
            self._clean.clear()
        request, response, origin = entry.request, entry.response, entry.origin
        texts = [request.url, request.target, response.reason, *_note_texts(entry)]
        searched: list[Searched] = []  # list[Searched]() takes four times as long
        self._add_message(request, texts, searched)
        self._add_message(response, texts, searched)
        if origin is not None:
            texts.append(origin.reason)
            self._add_message(origin, texts, searched, is_forwarded=origin.body is response.body)
        found = known.within(texts)
        if not found:
            self._clean.update(searched)
        return found

    def _add_message(
        self, message: Request | Response, texts: list[str], searched: list[Searched], is_forwarded: bool = False
    ) -> None:
        """Add the fields and the content of a message to `texts`, unless they are known to be clean.

        With `is_forwarded`, the content was added as that of another message.
        """
        for fields in (message.headers, message.trailers):
            if fields and fields not in self._clean:
                texts += [value for _, value in fields]
                if size_of(fields) <= SMALL:
                    searched.append(fields)
        content = message.body.content
        if not content or is_forwarded:
            return
        key = (header(message.headers, "content-type") or "", content) if len(content) <= SMALL else None
        if key is None or key not in self._clean:
            texts += _body_texts(message.body, message.headers)
            if key is not None:
                searched.append(key)


def decoded(content: bytes) -> str:
    """Return the text of bytes in UTF-8, or in Latin-1 if they are not UTF-8."""
    return _decode(content)[0]


def _decode(content: bytes) -> tuple[str, str]:
    """Return the text of bytes and its codec: utf-8 if possible, else latin-1, which decodes any bytes."""
    try:
        return content.decode(), "utf-8"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "latin-1"


def _note_texts(entry: Entry) -> list[str]:
    """Return the texts of an entry that may contain secrets, except those of its request and responses."""
    texts = [decoded(frame.data) for frame in entry.messages]
    texts += (entry.close_reason, entry.error, entry.comment)
    for notes in (entry.trace, entry.connection_info, entry.extra):
        if notes:
            add_strings(notes, texts)
    return texts


def all_texts(entry: Entry) -> list[str]:
    """Return the texts of an entry that may contain secrets."""
    messages = [message for message in (entry.request, entry.response, entry.origin) if message is not None]
    return [*_note_texts(entry), *(text for message in messages for text in texts_of(message))]


def texts_of(message: Request | Response) -> list[str]:
    """Return the texts of a message that may contain secrets."""
    fields = [value for _, value in (*message.headers, *message.trailers)]
    return [*_line_texts(message), *fields, *_body_texts(message.body, message.headers)]


def _line_texts(message: Request | Response) -> tuple[str, ...]:
    return (message.url, message.target) if isinstance(message, Request) else (message.reason,)


def _body_texts(body: Body, headers: Headers) -> list[str]:
    if not body.content:
        return []
    texts = binary_texts(body.content, header(headers, "content-type") or "")
    return [decoded(body.content)] if texts is None else list(texts)


def add_strings(value: Any, texts: list[str]) -> None:
    """Add the strings of a JSON document to `texts`, except keys."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, _LISTS) else (value,)
    for item in items:
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, _CONTAINERS):
            add_strings(item, texts)


def sweep_entry(entry: Entry, found: Spellings) -> Entry:
    """Return an entry with these spellings replaced by placeholders."""
    return replace(
        entry,
        request=sweep_request(entry.request, found),
        response=_sweep_response(entry.response, found),
        origin=_sweep_response(entry.origin, found) if entry.origin else None,
        messages=tuple(sweep_message(message, found) for message in entry.messages),
        close_reason=sweep(entry.close_reason, found),
        error=sweep(entry.error, found),
        comment=sweep(entry.comment, found),
        trace=tuple(sweep_document(entry.trace, found)),
        connection_info=sweep_document(entry.connection_info, found),
        extra=sweep_document(entry.extra, found),
    )


def _sweep_url(url: str, found: Spellings) -> str:
    """Sweep a URL except its host, without which the entry could not be read or replayed."""
    authority = _AUTHORITY.match(url)
    begin, end = authority.span("host") if authority else (0, 0)
    return f"{sweep(url[:begin], found)}{url[begin:end]}{sweep(url[end:], found)}" if found else url


def _sweep_headers(headers: Headers, found: Spellings) -> Headers:
    return tuple((name, sweep(value, found)) for name, value in headers) if found else headers


def _sweep_body(body: Body, headers: Headers, found: Spellings) -> Body:
    if not found or not body.content:
        return body
    content = rewrite_binary(body.content, header(headers, "content-type") or "", lambda text: sweep(text, found))
    content = _sweep_bytes(body.content, found) if content is None else content
    return body if content == body.content else replace(body, content=content, wire=None)


def _sweep_bytes(content: bytes, found: Spellings) -> bytes:
    text, name = _decode(content)
    return sweep(text, found).encode(name)


def sweep_request(request: Request, found: Spellings) -> Request:
    """Return a request with these spellings replaced by placeholders."""
    return replace(
        request,
        url=_sweep_url(request.url, found),
        target=_sweep_url(request.target, found),
        headers=_sweep_headers(request.headers, found),
        trailers=_sweep_headers(request.trailers, found),
        body=_sweep_body(request.body, request.headers, found),
    )


def _sweep_response(response: Response, found: Spellings) -> Response:
    return replace(
        response,
        reason=sweep(response.reason, found),
        headers=_sweep_headers(response.headers, found),
        trailers=_sweep_headers(response.trailers, found),
        body=_sweep_body(response.body, response.headers, found),
    )


def sweep_message(message: WebSocketMessage, found: Spellings) -> WebSocketMessage:
    """Return a WebSocket message with these spellings replaced by placeholders."""
    return replace(message, data=_sweep_bytes(message.data, found)) if found else message


def sweep_document(value: Any, found: Spellings) -> Any:
    """Return a JSON document with these spellings replaced by placeholders."""
    if isinstance(value, str):
        return sweep(value, found)
    if isinstance(value, dict):
        return {name: sweep_document(item, found) for name, item in value.items()}
    return [sweep_document(item, found) for item in value] if isinstance(value, list | tuple) else value
