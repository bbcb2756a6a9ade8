"""Redaction: replace the secrets of an entry before it is written, and change nothing else.

A value is a secret by its name, its place (credentials, cookies), its shape, or a rule of the user (`rules.py`). A
secret found once, if distinctive, is then replaced wherever else it appears, except in the authority of a URL.
"""

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from proxy_policies.capture.model import (
    HEADS,
    NO_BODY,
    Body,
    Entry,
    Headers,
    Request,
    Response,
    WebSocketMessage,
    header,
    media_type,
)
from proxy_policies.capture.secrets.decider import Decider, is_sweepable
from proxy_policies.capture.secrets.known_secrets import MAX_SECRETS, KnownSecrets, sweep
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, Placeholders
from proxy_policies.capture.secrets.redact_message import CREDENTIALS, MessageRedactor
from proxy_policies.capture.secrets.redaction_cache import Secrets
from proxy_policies.capture.secrets.rules import RedactionRules, parse_rules
from proxy_policies.capture.secrets.searchable import (
    has_unsearched_message,
    unsearched_reason,
    without_unsearched,
    without_unsearched_messages,
)
from proxy_policies.capture.secrets.sweep_entry import (
    SearchedTexts,
    add_strings,
    all_texts,
    decoded,
    sweep_document,
    sweep_entry,
    sweep_message,
    sweep_request,
    texts_of,
)

__all__ = ["RedactionRules", "Redactor", "parse_rules"]

UNSEARCHED = "_unsearched"
"""The field of an entry that names its bodies that could not be searched for secrets."""
_REASONS = frozenset(status.phrase for status in HTTPStatus)
MESSAGE_NAMES = ("request", "response", "origin")
MESSAGES = "messages"
"""Those of a WebSocket connection."""


@dataclass(slots=True, eq=False)
class RedactedPart:
    """A part of entries without the secrets found by name, place or shape."""

    secrets: Secrets
    """Those that were found, in order."""
    text: str
    """All texts in it that may contain known secrets."""
    searched_for: int = -1
    """The generation of the known secrets that it does not have."""


class Redactor:
    """Redacts entries in the order of recording and remembers the secrets seen; for use by one thread at a time.

    If `strict`, bodies that cannot be searched are dropped.
    """

    def __init__(self, rules: RedactionRules, placeholders: Placeholders, strict: bool = False) -> None:
        self.rules: dict[str, str] = {}
        """The rule by which each secret was first found, by placeholder, of the latest `MAX_SECRETS` secrets."""
        self.stand_ins: dict[str, str] = {}
        """The placeholders of secret numbers, by the numbers that clients were sent in their place."""
        self._strict = strict
        self._placeholders = placeholders
        self._known = KnownSecrets()
        self._searched_texts = SearchedTexts()
        self._noted: Secrets | None = None  # in the current part
        self._request_redactor = MessageRedactor(Decider(rules, self._hide, is_response=False))
        self._response_redactor = MessageRedactor(Decider(rules, self._hide, is_response=True))

    @property
    def key_id(self) -> str:
        """The identifier of the key of the placeholders."""
        return self._placeholders.key_id

    def entry(self, entry: Entry) -> Entry:
        """Return an entry without secrets; its field `_unsearched` has the reasons of bodies that were not searched."""
        reasons = unsearched_bodies(entry)
        if reasons and self._strict:
            entry = _without_bodies(entry, reasons)
        if entry.extra and UNSEARCHED in entry.extra:
            entry = replace(entry, extra={name: item for name, item in entry.extra.items() if name != UNSEARCHED})
        entry = self._redact_all(entry)
        return replace(entry, extra={**entry.extra, UNSEARCHED: reasons}) if reasons else entry

    @property
    def is_strict(self) -> bool:
        """Whether bodies that cannot be searched are dropped."""
        return self._strict

    def part(self, entry: Entry) -> tuple[Entry, Secrets, str]:
        """Return an entry of which only a part is filled in, redacted but for known secrets, and its secrets and texts.

        `has_known` searches it for known secrets.
        """
        clean, secrets = self._noting(lambda: self._redact_places(entry))
        return clean, secrets, "\0".join(all_texts(clean))

    def field(self, name: str, value: str, is_response: bool) -> tuple[str, Secrets]:
        """Return the value of a field line, redacted but for known secrets, and its secrets."""
        redactor = self._response_redactor if is_response else self._request_redactor
        return self._noting(lambda: redactor.field(name, value))

    def _noting[Value](self, redact: Callable[[], Value]) -> tuple[Value, Secrets]:
        noted: Secrets = []
        self._noted = noted
        try:
            return redact(), noted
        finally:
            self._noted = None

    def hide_again(self, part: RedactedPart) -> None:
        """Mark the secrets of a part as seen, as if it was redacted again."""
        for secret, rule in part.secrets:
            self._hide(secret, rule)

    def url(self, url: str) -> str:
        """Return the URL of a request without the secrets found by name, place or shape."""
        return self._request_redactor.url(url)

    def has_known(self, url: str, parts: Iterable[RedactedPart]) -> bool:
        """Return whether a URL or a part of an entry has a known secret, such as one that was found in another part."""
        known = self._known
        if not known:
            return False
        unsearched = [part for part in parts if part.searched_for != known.generation]
        if known.within((url, *[part.text for part in unsearched])):
            return True
        for part in unsearched:
            part.searched_for = known.generation
        return False

    def learn(self, newest_first: Iterable[Entry]) -> None:
        """Remember the latest secrets of these entries, to find them in earlier entries, too.

        The known secrets are those of reading all entries in order, but only as many are read as necessary.
        """
        all_known = self._known
        for entry in newest_first:
            self._known = KnownSecrets()
            self._redact_places(entry)
            if not all_known.add_older(self._known):
                break
        self._known = all_known

    def _redact_all(self, entry: Entry) -> Entry:
        entry = self._redact_places(entry)
        found = self._searched_texts.within(entry, self._known)
        return sweep_entry(entry, found) if found else entry

    def _redact_places(self, entry: Entry) -> Entry:
        """Return an entry without the secrets found by name, place or shape."""
        request, response = self.request(entry.request), self._response(entry.response)
        notes = (entry.close_reason, entry.error, entry.comment)
        close_reason, error, comment = self._response_redactor.notes(notes)
        return Entry(
            request,
            response,
            entry.times,
            entry.id,
            self._origin(entry.origin, entry.response, response) if entry.origin else None,
            tuple([self._message(message) for message in entry.messages]) if entry.messages else (),
            entry.close_code,
            close_reason,
            entry.closed_by_client,
            error,
            comment,
            entry.trace,
            entry.connection_info,
            self._response_redactor.document(entry.extra) if entry.extra else entry.extra,
        )

    def request(self, request: Request) -> Request:
        """Return a request without the secrets found by name, place or shape."""
        self._learn_basic(request.headers)
        return Request(
            request.method,
            self._request_redactor.url(request.url),
            self._request_redactor.headers(request.headers),
            _content(self._request_redactor, request.body, request.headers),
            request.version,
            self._request_redactor.headers(request.trailers),
            self._request_redactor.url(request.target),
        )

    def request_swept(self, request: Request) -> Request:
        """Return a request without the secrets found by name, place or shape, and without known secrets."""
        clean = self.request(request)
        return sweep_request(clean, self._known.within(texts_of(clean)))

    def message(self, message: WebSocketMessage) -> WebSocketMessage:
        """Return a WebSocket message without secrets."""
        clean = self._message(message)
        return sweep_message(clean, self._known.within([decoded(clean.data)]))

    def text(self, text: str, mime: str = "") -> str:
        """Return a text sent by a client without secrets, redacted as a body of this media type."""
        clean = self._request_redactor.content(text.encode("utf-8", "surrogateescape"), mime).decode(
            "utf-8", "surrogateescape"
        )
        return sweep(clean, self._known.within([clean]))

    def document(self, value: Any) -> Any:
        """Return a JSON document without secrets, such as the log object of a HAR file of another tool."""
        clean = self._response_redactor.document(value)
        texts: list[str] = []
        add_strings(clean, texts)
        return sweep_document(clean, self._known.within(texts))

    def _message(self, message: WebSocketMessage) -> WebSocketMessage:
        redactor = self._request_redactor if message.from_client else self._response_redactor
        return replace(message, data=redactor.content(message.data, "text/plain" if message.text else ""))

    def _response(self, response: Response) -> Response:
        return self._with_body(response, _content(self._response_redactor, response.body, response.headers))

    def _origin(self, origin: Response, sent: Response, clean: Response) -> Response:
        """Return the redacted response of the origin; a body that was forwarded unchanged is redacted already."""
        is_same = origin.body == sent.body and media_type(origin.headers) == media_type(sent.headers)
        return self._with_body(origin, clean.body) if is_same else self._response(origin)

    def _with_body(self, response: Response, body: Body) -> Response:
        headers = self._response_redactor.headers(response.headers)
        trailers = self._response_redactor.headers(response.trailers) if response.trailers else response.trailers
        reason = response.reason
        if reason not in _REASONS:
            (reason,) = self._response_redactor.notes((reason,))
        is_same = headers is response.headers and trailers is response.trailers and body is response.body
        if is_same and reason == response.reason:
            return response
        return replace(response, reason=reason, headers=headers, trailers=trailers, body=body)

    def _hide(self, secret: str, rule: str) -> str:
        """Return the placeholder of a secret, and add it to the known secrets."""
        if self._noted is not None:
            self._noted.append((secret, rule))
        placeholder = self._known.placeholder_of(secret) or self.stand_ins.get(secret)
        if not placeholder:
            if not secret or PLACEHOLDER.fullmatch(secret):
                return secret
            placeholder = self._placeholders.of(secret)
            if is_sweepable(secret):
                self._known.add(secret, placeholder)
        self._note_rule(placeholder, rule)
        return placeholder

    def _note_rule(self, placeholder: str, rule: str) -> None:
        if placeholder not in self.rules:
            if len(self.rules) >= MAX_SECRETS:
                del self.rules[next(iter(self.rules))]
            self.rules[placeholder] = rule

    def _learn_basic(self, headers: Headers) -> None:
        """Remember the password inside Basic credentials (RFC 7617), to find it elsewhere, too."""
        for password in _basic_passwords(headers):
            self._hide(password, "credentials")


@lru_cache(HEADS)
def _basic_passwords(headers: Headers) -> tuple[str, ...]:
    found = []
    for name, value in headers:
        scheme, _, credentials = value.partition(" ")
        if name.lower() not in CREDENTIALS or scheme.lower() != "basic":
            continue
        try:
            _, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            continue
        found += [password] if colon else []
    return tuple(found)


def unsearched_bodies(entry: Entry) -> dict[str, str]:
    """Return why bodies of an entry cannot be searched as a whole, by `request`, `response`, `origin`, `messages`."""
    found = {}
    for name, message in zip(MESSAGE_NAMES, (entry.request, entry.response, entry.origin), strict=True):
        if (
            message is not None
            and message.body is not NO_BODY
            and (reason := unsearched_reason(message.body, message.headers))
        ):
            found[name] = reason
    if entry.messages and has_unsearched_message(entry):
        found[MESSAGES] = "binary"
    return found


def _without_bodies(entry: Entry, names: Iterable[str]) -> Entry:
    """Return an entry without the bodies of these messages, or without their binary parts."""
    changed = {name: _without_body(getattr(entry, name)) for name in names if name in MESSAGE_NAMES}
    return without_unsearched_messages(replace(entry, **changed))


def _without_body[Message: (Request, Response)](message: Message) -> Message:
    return replace(message, body=without_unsearched(message.body, header(message.headers, "content-type") or ""))


def _content(redactor: MessageRedactor, body: Body, headers: Headers) -> Body:
    """Return a body with redacted content; if it had a secret, its bytes as sent are dropped."""
    if not body.content:
        return body
    content = redactor.content(body.content, header(headers, "content-type") or "")
    return body if content == body.content else replace(body, content=content, wire=None)
