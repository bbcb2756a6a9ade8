"""Find and replace known secrets in all of an entry, except the authority of a URL."""

import re
from dataclasses import replace
from typing import Any

from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, WebSocketMessage, header
from proxy_policies.capture.secrets.known_secrets import KnownSecrets, Spelling, sweep
from proxy_policies.capture.streams.events import binary_texts, rewrite_binary

MAX_CLEAN = 512
"""Maximum number of small responses cached as free of known secrets."""
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/?#]*)")

type Spellings = list[Spelling]
"""Spellings of secrets in an entry, with their placeholders."""


class SearchedResponses:
    """Searches entries for known secrets, and caches which small responses have none, to skip them later."""

    def __init__(self) -> None:
        self._clean: set[tuple[Response, bool]] = set()  # with whether its body was searched in another response
        self._generation = 0  # of the known secrets they were searched for

    def within(self, entry: Entry, known: KnownSecrets) -> Spellings:
        """Return the spellings of known secrets in an entry."""
        if self._generation != known.generation or len(self._clean) >= MAX_CLEAN:
            self._generation = known.generation
            self._clean.clear()
        texts, searched = _other_texts(entry), []
        for response, is_body_read in _responses_of(entry):
            if not response.is_small:
                texts += _response_texts(response, is_body_read)
            elif (response, is_body_read) not in self._clean:
                texts += _response_texts(response, is_body_read)
                searched.append((response, is_body_read))
        found = known.within(texts)
        if not found:
            self._clean.update(searched)
        return found


def _responses_of(entry: Entry) -> list[tuple[Response, bool]]:
    """Return the responses of an entry, each with whether its body is that of the one before."""
    response, origin = entry.response, entry.origin
    return [(response, False), *([(origin, origin.body is response.body)] if origin is not None else [])]


def _response_texts(response: Response, is_body_read: bool) -> list[str]:
    return _head_texts(response) if is_body_read else texts_of(response)


def decoded(content: bytes) -> str:
    """Return the text of bytes in UTF-8, or in Latin-1 if they are not UTF-8."""
    return _decode(content)[0]


def _decode(content: bytes) -> tuple[str, str]:
    """Return the text of bytes and its codec: utf-8 if possible, else latin-1, which decodes any bytes."""
    try:
        return content.decode(), "utf-8"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "latin-1"


def _other_texts(entry: Entry) -> list[str]:
    """Return the texts of an entry that may contain secrets, except those of its responses."""
    texts = texts_of(entry.request)
    texts += [decoded(frame.data) for frame in entry.messages]
    texts += (entry.close_reason, entry.error, entry.comment)
    for notes in (entry.trace, entry.connection_info, entry.extra):
        add_strings(notes, texts)
    return texts


def texts_of(message: Request | Response) -> list[str]:
    """Return the texts of a message that may contain secrets."""
    return _head_texts(message) + _body_texts(message.body, message.headers)


def _head_texts(message: Request | Response) -> list[str]:
    texts = [value for _, value in message.headers]
    texts += [value for _, value in message.trailers]
    texts += (message.url, message.target) if isinstance(message, Request) else (message.reason,)
    return texts


def _body_texts(body: Body, headers: Headers) -> list[str]:
    if not body.content:
        return []
    texts = binary_texts(body.content, header(headers, "content-type") or "")
    return [decoded(body.content)] if texts is None else list(texts)


def add_strings(value: Any, texts: list[str]) -> None:
    """Add the strings of a JSON document to `texts`, except keys."""
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, dict):
        for item in value.values():
            add_strings(item, texts)
    elif isinstance(value, list | tuple):
        for item in value:
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
