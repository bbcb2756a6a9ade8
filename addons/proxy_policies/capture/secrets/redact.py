"""Redaction: no secret of an entry reaches the disk.

Secrets are found by name (fields, cookies, parameters, JSON members, form fields, HTML inputs), by shape, and
by the user's own rules; whatever was once found is then replaced wherever else it appears.

    header:X-Customer     this field's value
    query:ref             this parameter of a URL
    json:$.user.email     what this JSONPath (RFC 9535) selects in a JSON body
    regex:cust_[0-9]+     what this pattern finds, anywhere
    name:nickname         a further name, wherever names are looked at
    keep:session          a name that carries no secret here
"""

import base64
import binascii
import json
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from proxy_policies.capture.har.body import as_text, charset
from proxy_policies.capture.json_path import Path, compile_path
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, WebSocketMessage, header
from proxy_policies.capture.secrets import redact_text as texts
from proxy_policies.capture.secrets.names import MARKS, NUMERIC, TOKENS, is_secret_name, words
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, Placeholders

KINDS = ("header", "query", "json", "regex", "name", "keep")
KNOWN_LIMIT = 256  # secrets remembered and looked for everywhere; the least recently seen is forgotten
WORTH_SWEEPING = 8  # characters: a shorter secret is too likely to be a part of something harmless

_TOKEN = re.compile("|".join(TOKENS))
_CREDENTIALS = ("authorization", "proxy-authorization")


@dataclass(frozen=True, slots=True)
class RedactionRules:
    """What the user added to the defaults."""

    headers: frozenset[str] = frozenset()
    queries: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    keep: frozenset[str] = frozenset()
    paths: tuple[Path, ...] = ()
    pattern: re.Pattern[str] | None = None
    """What the user's own patterns find."""


def parse_rules(specs: Iterable[str]) -> RedactionRules:
    """Read `kind:value` specs. Raises ValueError saying what is valid."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for spec in specs:
        kind, colon, value = spec.partition(":")
        if not colon or not value or kind not in found:
            raise ValueError(f"{spec!r} is not a valid redaction; write {', '.join(f'{kind}:…' for kind in KINDS)}")
        found[kind].append(value)
    return RedactionRules(
        headers=frozenset(name.lower() for name in found["header"]),
        queries=frozenset(name.lower() for name in found["query"]),
        names=tuple(found["name"]),
        keep=frozenset(name.lower() for name in found["keep"]),
        paths=tuple(compile_path(path) for path in found["json"]),
        pattern=_pattern(found["regex"]),
    )


def _pattern(own: Iterable[str]) -> re.Pattern[str] | None:
    patterns = []
    for text in own:
        try:
            if re.compile(text).match(""):
                raise ValueError(f"{text!r} matches nothing at all: every text would be a secret")
        except re.error as error:
            raise ValueError(f"{text!r} is not a valid regular expression: {error}") from None
        patterns.append(f"(?:{text})")
    return re.compile("|".join(patterns)) if patterns else None


class Redactor:
    """Redacts entries in the order they are recorded, remembering the secrets it has seen."""

    def __init__(self, rules: RedactionRules, placeholders: Placeholders) -> None:
        self._rules = rules
        self._placeholders = placeholders
        self._known: OrderedDict[str, str] = OrderedDict()

    @property
    def key_id(self) -> str:
        """The name of the key that makes the placeholders."""
        return self._placeholders.key_id

    def entry(self, entry: Entry) -> Entry:
        """Return the entry without secrets."""
        request, response = self.request(entry.request), self._response(entry.response)
        origin = self._response(entry.origin) if entry.origin else None
        return replace(
            entry,
            request=self._sweep_request(request),
            response=self._sweep_response(response),
            origin=self._sweep_response(origin) if origin else None,
            messages=tuple(self.message(message) for message in entry.messages),
            close_reason=self._sweep(entry.close_reason),
            error=self._sweep(entry.error),
            comment=self._sweep(entry.comment),
            trace=tuple(self._sweep_json(note) for note in entry.trace),
            connection_info=self._sweep_json(entry.connection_info),
            extra=self._sweep_json(entry.extra),
        )

    def request(self, request: Request) -> Request:
        """Return the request without the secrets found at their places; what replay matches with."""
        return replace(
            request,
            url=self._url(request.url),
            target=self._url(request.target),
            headers=self._headers(request.headers),
            trailers=self._headers(request.trailers),
            body=self._body(request.body, header(request.headers, "content-type") or ""),
        )

    def request_swept(self, request: Request) -> Request:
        """Return the request without any secret: at their places, and wherever a known one appears."""
        return self._sweep_request(self.request(request))

    def text(self, text: str, mime: str = "") -> str:
        """Return a text without secrets, as a body of this media type would be redacted."""
        return self._sweep(self._text(text, mime.lower()))

    def _response(self, response: Response) -> Response:
        return replace(
            response,
            headers=self._headers(response.headers),
            trailers=self._headers(response.trailers),
            body=self._body(response.body, header(response.headers, "content-type") or ""),
        )

    def _secret(self, secret: str) -> str:
        if not secret or PLACEHOLDER.fullmatch(secret):
            return secret
        placeholder = self._placeholders.of(secret)
        if _is_worth_sweeping(secret):
            self._remember(secret, placeholder)
        return placeholder

    def _remember(self, secret: str, placeholder: str) -> None:
        """Remember the secret as it is, percent-encoded and as JSON writes it."""
        for spelling in {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}:
            self._known[spelling] = placeholder
            self._known.move_to_end(spelling)
        while len(self._known) > KNOWN_LIMIT:
            self._known.popitem(last=False)

    def _by_name(self, name: str, value: str) -> str:
        """Return what stands for a value of this name. A name that ends in `#` carries a number."""
        plain = name.rstrip("#").lower()
        if plain in self._rules.keep or not value:
            return value
        if name.endswith("#"):
            return self._secret(value) if NUMERIC.intersection(words(plain)) else value
        return self._secret(value) if is_secret_name(name, self._rules.names) else value

    def _parameter(self, name: str, value: str) -> str:
        return self._secret(value) if name.lower() in self._rules.queries else self._by_name(name, value)

    def _cookie(self, name: str, value: str) -> str:
        return value if name.strip().lower() in self._rules.keep else self._secret(value)

    def _authorization(self, name: str, value: str) -> str:
        self._learn_basic(value)
        return self._secret(value)

    def _learn_basic(self, value: str) -> None:
        """Remember the password inside Basic credentials (RFC 7617), so that it is found elsewhere too."""
        try:
            _, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return
        if colon:
            self._secret(password)

    def _url(self, url: str) -> str:
        return texts.in_url(url, self._parameter)

    def _headers(self, headers: Headers) -> Headers:
        return tuple((name, self._field(name.lower(), value)) for name, value in headers)

    def _field(self, name: str, value: str) -> str:
        if name in self._rules.keep:
            return value
        if name in self._rules.headers:
            return self._secret(value)
        if name in _CREDENTIALS:
            return texts.in_credentials(value, self._authorization)
        if name == "cookie":
            return texts.in_cookies(value, self._cookie)
        if name == "set-cookie":
            return texts.in_set_cookie(value, self._cookie)
        if is_secret_name(name, self._rules.names) and not _is_policy(name):
            return self._secret(value)
        return self._shapes(self._url(value))

    def _shapes(self, text: str) -> str:
        if self._rules.pattern is not None:
            text = self._rules.pattern.sub(lambda found: self._secret(found[0]), text)
        if any(mark in text for mark in MARKS):
            text = _TOKEN.sub(lambda found: self._secret(found[0]), text)
        return text

    def _body(self, body: Body, mime: str) -> Body:
        if not body.content:
            return body
        text = as_text(body.content, mime)
        if text is None:
            return self._changed(body, self._sweep(body.content.decode("latin-1")).encode("latin-1"))
        return self._changed(body, self._text(text, mime.lower()).encode(charset(mime)))

    @staticmethod
    def _changed(body: Body, content: bytes) -> Body:
        """Return the body with new content; octets on the wire that held a secret are dropped."""
        return body if content == body.content else replace(body, content=content, wire=None)

    def _text(self, text: str, mime: str) -> str:
        if "x-www-form-urlencoded" in mime:
            return self._shapes(texts.in_form(text, self._parameter))
        if mime.startswith("multipart/"):
            text = texts.in_multipart(text, self._by_name)
        text = self._paths(text)
        text = texts.in_json(text, self._by_name)
        text = texts.in_parameters(text, self._parameter) if "?" in text else text
        if "<" in text:
            text = texts.in_markup(text, self._by_name)
        return self._shapes(text)

    def _paths(self, text: str) -> str:
        """Replace what the user's JSONPaths select; the document is written anew only when they select something."""
        if not self._rules.paths:
            return text
        try:
            return self._selected(text)
        except RecursionError:
            return self._secret(text)  # nested too deep to be looked through

    def _selected(self, text: str) -> str:
        try:
            document = json.loads(text)
        except ValueError:
            return text
        found = [node for path in self._rules.paths for node in path.finditer(document)]
        for node in found:
            document = _put(document, list(node.parts), self._secret_value(node.obj))
        return json.dumps(document, ensure_ascii=False) if found else text

    def _secret_value(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        return self._secret(value if isinstance(value, str) else json.dumps(value))

    def message(self, message: WebSocketMessage) -> WebSocketMessage:
        """Return a WebSocket message without secrets."""
        if not message.text:
            return replace(message, data=self._sweep(message.data.decode("latin-1")).encode("latin-1"))
        text = message.data.decode("utf-8", "surrogateescape")
        return replace(message, data=self.text(text).encode("utf-8", "surrogateescape"))

    def _sweep(self, text: str) -> str:
        """Replace every known secret wherever it stands."""
        for secret, placeholder in self._known.items():
            if secret in text:
                text = text.replace(secret, placeholder)
        return text

    def _sweep_json(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._sweep(self._shapes(value))
        if isinstance(value, dict):
            return {name: self._sweep_json(item) for name, item in value.items()}
        return [self._sweep_json(item) for item in value] if isinstance(value, list | tuple) else value

    def _sweep_headers(self, headers: Headers) -> Headers:
        return tuple((name, self._sweep(value)) for name, value in headers)

    def _sweep_body(self, body: Body) -> Body:
        return self._changed(body, self._sweep(body.content.decode("latin-1")).encode("latin-1"))

    def _sweep_request(self, request: Request) -> Request:
        return replace(
            request,
            url=self._sweep(request.url),
            target=self._sweep(request.target),
            headers=self._sweep_headers(request.headers),
            trailers=self._sweep_headers(request.trailers),
            body=self._sweep_body(request.body),
        )

    def _sweep_response(self, response: Response) -> Response:
        return replace(
            response,
            reason=self._sweep(response.reason),
            headers=self._sweep_headers(response.headers),
            trailers=self._sweep_headers(response.trailers),
            body=self._sweep_body(response.body),
        )


def _is_policy(name: str) -> bool:
    """Return whether a field only sounds secret: it names a policy, not a credential."""
    return name in ("www-authenticate", "proxy-authenticate", "authentication-info") or name.startswith("sec-websocket")


def _is_worth_sweeping(secret: str) -> bool:
    """Return whether a secret is unlike a plain word, so that replacing it everywhere does no harm."""
    return len(secret) >= WORTH_SWEEPING and not (secret.isalpha() and (secret.islower() or secret.istitle()))


def _put(document: Any, parts: list[Any], value: Any) -> Any:
    """Return the document with the value at these parts of a path."""
    if not parts:
        return value
    inner = document
    for part in parts[:-1]:
        inner = inner[part]
    inner[parts[-1]] = value
    return document
