"""The secrets of one message: its URL, its fields and its content, each looked through as what it is."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

from proxy_policies.capture.har.body import as_text, charset, octets
from proxy_policies.capture.model import Body, Headers, Response, header, size_of
from proxy_policies.capture.multipart import is_form_data
from proxy_policies.capture.secrets import redact_calls, redact_csv, redact_json, redact_markup, redact_multipart
from proxy_policies.capture.secrets import redact_text as texts
from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.redact_base64 import in_base64
from proxy_policies.capture.secrets.redact_commands import in_commands
from proxy_policies.capture.secrets.redact_lines import in_named_lines, in_prose
from proxy_policies.capture.secrets.redaction_cache import RedactionCache
from proxy_policies.capture.secrets.shapes import in_shapes
from proxy_policies.capture.streams.events import rewrite, rewrite_binary
from proxy_policies.capture.streams.frames import framing_of
from proxy_policies.decoding import codings_of

CREDENTIALS = ("authorization", "proxy-authorization")
CREDENTIAL = "credentials"
BINARY = ("image/", "video/", "audio/", "font/")
MAX_NESTING = 16
"""Multiparts within each other that are looked through: each is read once more for each around it. Deeper ones go."""
_JSON_STARTS = ("{", "[")
_TABLE_TYPES = ("csv", "tab-separated", "ms-excel")
_DOCUMENT_MARKS = ('\\":', '\\",', '=\\"', "form-data;", "\\u003c", "[\\n", "=\\n", "=\\r\\n")
"""What says that a JSON string holds a document that cannot be read where it stands."""
_SCRIPT_TYPES = ("html", "javascript", "ecmascript", "css")


_JSON = re.compile(r'\s*(?:\{\s*(?:["}]|\Z)|\[\s*(?:[\[{"\]\d-]|true|false|null))')
_BINARY_FORMATS = ("msgpack", "cbor", "octet-stream", "protobuf", "zip", "gzip", "pdf", "wasm", "avro", "thrift")
"""Formats of octets, in which texts may stand that are found by their shape only."""
_TEXT_TYPES = ("text/", "json", "xml", "javascript", "form-urlencoded")
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
"""What content in UTF-16 begins with (RFC 2781 section 3.2), whatever else says what it is."""


def is_binary(content: bytes, mime: str) -> bool:
    """Return whether content has no text in it that could be looked through."""
    kind = mime.lower()
    return (kind.startswith(BINARY) and "svg" not in kind) or (b"\0" in content[:4096] and not _is_text(content, mime))


def _is_text(content: bytes, mime: str) -> bool:
    """Return whether content with a NUL in it is a text: it is said to be one, or each character has 2 octets, or 4."""
    name = _codec(content, mime)
    is_declared = name.startswith(("utf-16", "utf-32")) or any(part in mime.lower() for part in _TEXT_TYPES)
    return is_declared and as_text(content, f"; charset={name}") is not None


def _codec(content: bytes, mime: str) -> str:
    """Return what reads and writes a text as it is: its mark of octet order stays, and none is added."""
    name = _UTF16.get(content[:2], charset(mime)).lower().replace("_", "-")
    if name in ("utf-16", "utf16"):
        return "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    return name


def unsearched_reason(body: Body, headers: Headers) -> str:
    """Return why a body cannot be searched for secrets as a whole: `cut`, `coding`, `binary`; empty when it can."""
    if not body.content:
        return ""
    if body.dropped:
        return "cut"
    coding = header(headers, "content-encoding")
    if coding and body.wire in (None, body.content) and codings_of(coding) not in ([], ["identity"]):
        return "coding"
    mime = header(headers, "content-type") or ""
    return "binary" if _has_binary_data(body.content, mime) and not mime.lower().startswith("multipart/") else ""


def _has_binary_data(content: bytes, mime: str) -> bool:
    if is_binary(content, mime):
        return True
    return not content.isascii() and _is_binary_format(mime) and rewrite_binary(content, mime, str) is None


@lru_cache(256)  # the same few come with every exchange
def _is_binary_format(mime: str) -> bool:
    return any(name in mime.lower() for name in _BINARY_FORMATS)


class MessageRedactor:
    """Replaces what is secret by its name, its place or its shape, in messages of one direction."""

    def __init__(self, decider: Decider) -> None:
        self._depth = 0  # multiparts around the content that is being looked through
        self._cache = RedactionCache(decider.hide)
        self.decider = replace(decider, hide=self._cache.hide)

    def url(self, url: str) -> str:
        """Return a URL without secrets."""
        if not url:
            return url
        return self._redact_shapes(texts.in_url(url, self._with_secret_variables(url)))

    def _with_secret_variables(self, encoded: str) -> Decider:
        """Return who decides about a URL or a form, in which a GraphQL query may say what its variables are."""
        if "$" not in encoded and "%24" not in encoded:
            return self.decider
        return redact_calls.with_secret_variables(unquote_plus(encoded), self.decider)

    def headers(self, headers: Headers) -> Headers:
        """Return fields without secrets."""
        return self._cache.redacted_group(headers, size_of(headers), self._fields) if headers else headers

    def _fields(self, headers: Headers) -> Headers:
        return tuple([(name, self._cache.redacted(name, value, self._field)) for name, value in headers])

    def response(self, response: Response, redact: Callable[[Response], Response]) -> Response:
        """Return what `look(response)` makes of a small response, which may be known."""
        return self._cache.redacted_group((response,), 0, lambda group: (redact(group[0]),))[0]

    def notes(self, notes: tuple[str, ...]) -> tuple[str, ...]:
        """Return short texts without secrets."""
        if not any(notes):
            return notes
        return self._cache.redacted_group(notes, sum(map(len, notes)), lambda notes: tuple(map(self.text, notes)))

    def _field(self, name: str, value: str) -> str:
        lower = name.lower()
        if self.decider.is_kept(name):
            return value
        if lower in self.decider.rules.headers:
            return self.decider.hide(value, f"header:{lower}")
        if lower in CREDENTIALS:
            return self._credentials(value)
        if lower in ("cookie", "set-cookie"):
            redact_cookies = texts.in_cookies if lower == "cookie" else texts.in_set_cookie
            return self._redact_shapes(redact_cookies(value, self.decider))
        if lower == "sec-websocket-protocol":
            value = self._protocols(value)
        if lower == "baggage":
            value = texts.in_bare_pairs(value, self.decider)
        replaced = self.decider.replace(name, value, Place.FIELD)
        if replaced != value:
            return replaced
        return (
            self._document_text(value)
            if value[:1] in _JSON_STARTS
            else self._redact_shapes(texts.in_url(value, self.decider))
        )

    def _protocols(self, value: str) -> str:
        """Replace what is random among WebSocket subprotocols: browsers can send credentials nowhere else."""
        pieces = re.split(r"([,\s]+|\.(?=[^.,\s]*(?:[,\s]|\Z)))", value)
        return "".join([self.decider.replace("", piece, Place.COOKIE) for piece in pieces])

    def _credentials(self, value: str) -> str:
        """Replace the credentials after the scheme of an Authorization field (RFC 9110 section 11.4)."""
        scheme, space, rest = value.strip().partition(" ")
        return f"{scheme} {self.decider.hide(rest, CREDENTIAL)}" if space else self.decider.hide(scheme, CREDENTIAL)

    def content(self, content: bytes, mime: str) -> bytes:
        """Return content of a media type without secrets. An octet that fits no charset stays as it is."""
        return self._cache.redacted(mime, content, self._content)

    def _content(self, mime: str, content: bytes) -> bytes:
        if mime.lower().startswith("multipart/") or is_form_data(content):
            return self._multipart(content, mime)
        if (framing := framing_of(content, mime)) is not None:
            return rewrite(content, framing, self.text)
        if (rewritten := rewrite_binary(content, mime, self.text)) is not None:
            return rewritten
        if is_binary(content, mime):
            return content
        name = _codec(content, mime)
        text = as_text(content, f"; charset={name}")
        if text is None:
            text, name = content.decode("utf-8", "surrogateescape"), "utf-8"
        replaced = self.text(text, mime)
        return content if replaced == text else replaced.encode(name, "surrogateescape")

    def _multipart(self, content: bytes, mime: str) -> bytes:
        if self._depth >= MAX_NESTING:
            return self.decider.hide(content.decode("utf-8", "surrogateescape"), "multipart:").encode()
        self._depth += 1
        try:
            return redact_multipart.in_multipart(content, mime, self.decider, self.content)
        finally:
            self._depth -= 1

    def text(self, text: str, mime: str = "") -> str:
        """Return a text without secrets, as a body of this media type is looked through."""
        if not text:
            return text
        text = redact_multipart.in_quoted_printable(text, self._embedded)
        kind = mime.lower()
        is_form = "x-www-form-urlencoded" in kind and _JSON.match(text) is None  # curl calls all that it sends a form
        if is_form or (not _is_structured(kind) and texts.is_form(text)):
            text = texts.in_form(texts.in_userinfo(text, self.decider), self._with_secret_variables(text))
            return self._redact_shapes(redact_json.in_json(text, self.decider))
        if any(name in kind for name in _TABLE_TYPES) or (not _is_structured(kind) and redact_csv.is_table(text)):
            text = redact_csv.in_table(text, self.decider)
        with_variables = redact_calls.with_secret_variables(text, self.decider)
        text = redact_json.in_json(self._redact_json_paths(text), with_variables)
        text = redact_calls.in_defaults(text, with_variables)
        text = redact_calls.in_positions(text, self.decider)
        text = redact_json.in_strings(text, _DOCUMENT_MARKS, self._embedded)
        if "<" in text:
            text = redact_markup.in_markup(text, self.decider)
        is_code = any(part in kind for part in _SCRIPT_TYPES) or text.lstrip()[:1] == "<"
        is_script = is_code and "html" not in kind and "<" not in text[:1]
        place = Place.CODE if is_code else Place.MEMBER
        text = in_commands(texts.in_assignments(text, self.decider, place), self.decider, place)
        if not is_code and not _is_structured(kind) and _JSON.match(text) is None:
            text = in_named_lines(text, self.decider, Place.MEMBER if "yaml" in kind else Place.CODE)
        elif not is_script:
            text = in_prose(texts.in_tight_pairs(text, self.decider, place), self.decider)
        text = texts.in_lines(texts.in_paths(texts.in_userinfo(text, self.decider), self.decider), self.decider)
        return self._redact_shapes((texts.in_links if is_script else texts.in_parameters)(text, self.decider))

    def _redact_shapes(self, text: str) -> str:
        pattern = self.decider.rules.pattern
        if pattern is not None:
            text = pattern.sub(lambda found: self.decider.hide(found[0], "regex:"), text)
        return in_base64(in_shapes(text, lambda secret: self.decider.hide(secret, "shape")), self._embedded)

    def _embedded(self, text: str) -> str:
        """Return a text without secrets that is written within another: in a JSON string, in base64."""
        content = octets(text)
        replaced = self.content(content, "")
        return text if replaced == content else replaced.decode("utf-8", "surrogateescape")

    def _document_text(self, text: str) -> str:
        return self.text(text, "application/json")

    def _redact_json_paths(self, text: str) -> str:
        """Replace what the user's JSONPaths select; the document is written anew only when they select something."""
        if not self.decider.rules.paths:
            return text
        try:
            return self._redact_selected(text)
        except RecursionError:
            return self.decider.hide(text, "json:")  # nested too deep to be looked through

    def _redact_selected(self, text: str) -> str:
        try:
            document = json.loads(text)
        except ValueError:
            return text
        found = [node for path in self.decider.rules.paths for node in path.finditer(document)]
        for node in found:
            document = _set_at(document, list(node.parts), self._secret_value(node.obj))
        return json.dumps(document, ensure_ascii=False) if found else text

    def _secret_value(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        return self.decider.hide(value if isinstance(value, str) else json.dumps(value), "json:")

    def document(self, value: Any, name: str = "") -> Any:
        """Return a JSON document, such as a note of a policy or fields of a foreign HAR, without secrets."""
        if isinstance(value, str):
            replaced = self.decider.replace(name, value) if name else value
            return self.text(value) if replaced == value else replaced
        if isinstance(value, dict):
            return {key: self.document(item, str(key)) for key, item in value.items()}
        return [self.document(item, name) for item in value] if isinstance(value, list | tuple) else value


def _is_structured(kind: str) -> bool:
    return bool(kind) and any(part in kind for part in ("json", "xml", *_SCRIPT_TYPES))  # notes and fields have no kind


def _set_at(document: Any, parts: list[Any], value: Any) -> Any:
    """Return the document with the value at these parts of a path."""
    if not parts:
        return value
    inner = document
    for part in parts[:-1]:
        inner = inner[part]
    inner[parts[-1]] = value
    return document
