"""Redact a message: its URL, its fields and its content, each in its format."""

import codecs
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

from proxy_policies.capture.bodies.multipart import is_form_data
from proxy_policies.capture.bodies.parsed_body import MEDIA
from proxy_policies.capture.har.body import as_bytes, charset, decode_text
from proxy_policies.capture.model import SMALL, Headers
from proxy_policies.capture.secrets import redact_calls, redact_csv, redact_json, redact_markup, redact_multipart
from proxy_policies.capture.secrets import redact_text as texts
from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.harmless import is_harmless
from proxy_policies.capture.secrets.marks import compile_marks
from proxy_policies.capture.secrets.names import is_policy
from proxy_policies.capture.secrets.redact_adjacent import in_adjacent
from proxy_policies.capture.secrets.redact_base64 import in_base64
from proxy_policies.capture.secrets.redact_commands import in_commands
from proxy_policies.capture.secrets.redact_folded import has_folds, in_folded
from proxy_policies.capture.secrets.redact_html_tables import in_html_tables
from proxy_policies.capture.secrets.redact_json_paths import in_json_paths
from proxy_policies.capture.secrets.redact_lengths import in_lengths, in_resp, is_bencode
from proxy_policies.capture.secrets.redact_lines import in_named_lines, in_prose
from proxy_policies.capture.secrets.redact_paths import in_paths
from proxy_policies.capture.secrets.redact_pattern import in_pattern
from proxy_policies.capture.secrets.redact_sql import in_sql
from proxy_policies.capture.secrets.redact_text_tables import in_text_tables
from proxy_policies.capture.secrets.redaction_cache import RedactionCache
from proxy_policies.capture.secrets.rules import RedactionRules
from proxy_policies.capture.secrets.searchable import codec_of, is_binary
from proxy_policies.capture.secrets.secret_words import may_have_secret_word
from proxy_policies.capture.secrets.shapes import in_shapes
from proxy_policies.capture.streams.events import rewrite, rewrite_binary
from proxy_policies.capture.streams.frames import FrameFormat, declared_framing, framing_of

CREDENTIALS = ("authorization", "proxy-authorization")
CREDENTIAL = "credentials"
_COOKIES = ("cookie", "set-cookie")
_SUBPROTOCOLS = "sec-websocket-protocol"
MAX_NESTING = 16
"""Maximum nesting of multipart bodies, as each level is read once more; deeper ones are replaced."""
_JSON_STARTS = ("{", "[")
_SEPARATOR = re.compile("[=: ]")
"""What separates a name from its value, and a scheme from credentials, in a field."""
_TABLE_TYPES = ("csv", "tab-separated", "ms-excel")
_DOCUMENT_MARKS = compile_marks('\\":', '\\",', '=\\"', "form-data;", "\\u003c", "[\\n", "=\\n", "=\\r\\n")
"""Marks of JSON strings that contain a document, which is redacted after decoding the string."""
_LINES_MARKS = compile_marks("\\n", ':\\"')
"""Marks of JSON strings that contain lines or JSON."""
_SCRIPT_TYPES = ("html", "javascript", "ecmascript", "css")
_ASCII_CHARSETS = ("ascii", "utf-8", "iso8859-1", "cp1252")
_MARKUP_START = re.compile(r"\s*<")


_JSON = re.compile(r'\s*(?:\{\s*(?:["}]|\Z)|\[\s*(?:[\[{"\]\d-]|true|false|null))')
_SASL_PLAIN = re.compile(r"([^\0\n]{0,255}\0[^\0\n]{1,255}\0)([^\0\n]{1,255})")
"""A user and a password (RFC 4616)."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a media type says about a text."""

    is_form: bool
    is_table: bool
    is_structured: bool
    """Notes and fields have no kind, and are not."""
    is_script: bool
    is_html: bool
    is_yaml: bool
    is_markup: bool
    is_ascii: bool
    """Whether it is one text, in which bytes of ASCII stand for themselves."""


@lru_cache(256)  # media types repeat with every exchange
def _kind_of(mime: str) -> _Kind:
    kind = mime.lower()

    def has(*parts: str) -> bool:
        return any(part in kind for part in parts)

    return _Kind(
        has("x-www-form-urlencoded"),
        has(*_TABLE_TYPES),
        has("json", "xml", *_SCRIPT_TYPES),
        has(*_SCRIPT_TYPES),
        has("html"),
        has("yaml"),
        has("html", "xml"),
        not kind.startswith(("multipart/", *MEDIA))
        and declared_framing(mime) is not FrameFormat.MESSAGES
        and codecs.lookup(charset(mime)).name in _ASCII_CHARSETS,
    )


class MessageRedactor:
    """Replaces secrets, by name, place or shape, in messages of one direction."""

    def __init__(self, decider: Decider) -> None:
        self._depth = 0  # multipart bodies that enclose the current content
        self._cache = RedactionCache(decider.hide)
        self.decider = replace(decider, hide=self._cache.hide)
        self._has_default_names = replace(decider.rules, keep=frozenset()) == RedactionRules()

    def url(self, url: str) -> str:
        """Return a URL without secrets."""
        if not url or (url.isascii() and self._is_harmless(url.encode())):
            return url
        redacted = self._redact_shapes(texts.in_url(url, self._with_secret_variables(url)))
        path, mark, query = redacted.partition("?")
        redacted = path + mark + texts.in_expressions(query, self._unstructured)
        has_quotes = '"' in url or "'" in url  # of JSON that is not encoded, or of a call of OData
        return self._in_quotes(redacted) if has_quotes else redacted

    def _in_quotes(self, text: str) -> str:
        return texts.in_assignments(redact_json.in_json(text, self.decider), self.decider, Place.MEMBER)

    def _with_secret_variables(self, encoded: str) -> Decider:
        """Return the decider for a URL or a form, with the secret variables of a GraphQL query in it."""
        if "$" not in encoded and "%24" not in encoded:
            return self.decider
        return redact_calls.with_secret_variables(unquote_plus(encoded), self.decider)

    def headers(self, headers: Headers) -> Headers:
        """Return header or trailer fields without secrets."""
        clean = tuple([(name, self.field(name, value)) for name, value in headers])
        return headers if clean == headers else clean

    def field(self, name: str, value: str) -> str:
        """Return the value of a header field line without secrets."""
        return self._cache.redacted(name, value, self._field)

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
        if lower in _COOKIES:
            redact_cookies = texts.in_cookies if lower == "cookie" else texts.in_set_cookie
            return self._redact_shapes(redact_cookies(value, self.decider))
        if lower == _SUBPROTOCOLS:
            value = self._protocols(value)
        replaced = self.decider.replace(name, value, Place.FIELD)
        return replaced if replaced != value else self._in_value(name, value)

    def _in_value(self, name: str, value: str) -> str:
        """Return the value of a field that is no secret as a whole without the secrets in it."""
        if value.isascii() and self._is_harmless(value.encode()):
            return value
        if value[:1] in _JSON_STARTS:
            return self._document_text(value)
        value = self._redact_shapes(texts.in_url(value, self.decider))
        return value if _SEPARATOR.search(value) is None or is_policy(name) else self._unstructured(value)

    def _protocols(self, value: str) -> str:
        """Replace random WebSocket subprotocols, as browsers have no other field to send credentials in."""
        pieces = re.split(r"([,\s]+|\.(?=[^.,\s]*(?:[,\s]|\Z)))", value)
        return "".join([self.decider.replace("", piece, Place.COOKIE) for piece in pieces])

    def _credentials(self, value: str) -> str:
        """Replace the credentials after the scheme of an Authorization field (RFC 9110 section 11.4)."""
        scheme, space, rest = value.strip().partition(" ")
        return f"{scheme} {self.decider.hide(rest, CREDENTIAL)}" if space else self.decider.hide(scheme, CREDENTIAL)

    def content(self, content: bytes, mime: str) -> bytes:
        """Return content of a media type without secrets; bytes that cannot be decoded are unchanged."""
        if len(content) <= SMALL:
            return self._cache.redacted_group((mime, content), 0, self._small_content)[1]
        kind = _kind_of(mime)
        if kind.is_ascii and self._is_harmless(content, kind.is_markup):
            return content
        return self._cache.redacted(mime, content, self._content)

    def _small_content(self, texts: tuple[str, bytes]) -> tuple[str, bytes]:
        mime, content = texts
        kind = _kind_of(mime)
        if kind.is_ascii and self._is_harmless(content, kind.is_markup):
            return texts
        return mime, self._content(mime, content)

    def _is_harmless(self, content: bytes, is_markup: bool = False) -> bool:
        return self._has_default_names and is_harmless(content, self.decider.is_response, is_markup)

    def _content(self, mime: str, content: bytes) -> bytes:
        if mime.lower().startswith("multipart/") or is_form_data(content):
            return self._multipart(content, mime)
        if (framing := framing_of(content, mime)) is not None:
            return rewrite(content, framing, self.text)
        if (rewritten := rewrite_binary(content, mime, self.text)) is not None:
            return rewritten
        if is_binary(content, mime):
            return content
        name = codec_of(content, mime)
        text = decode_text(content, f"; charset={name}")
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
        """Return a text without secrets, redacted as a body of this media type."""
        if not text:
            return text
        if has_folds(text):
            return in_folded(text, lambda unfolded: self.text(unfolded, mime))
        text = redact_multipart.in_quoted_printable(text, self._embedded)
        kind = _kind_of(mime)
        if is_bencode(text):
            return self._redact_shapes(in_lengths(text, self.decider))
        is_form = not kind.is_structured and texts.is_form(text)
        if is_form or (kind.is_form and _JSON.match(text) is None):  # curl declares any body as a form
            text = texts.in_form(texts.in_userinfo(text, self.decider), self._with_secret_variables(text))
            text = texts.in_expressions(text, self._unstructured)
        if is_form:
            return self._redact_shapes(redact_json.in_json(text, self.decider))
        return self._in_text(self._in_documents(text, kind), kind)

    def _unstructured(self, text: str) -> str:
        """Return the value of a field without secrets: pairs in it are no form, as they may be a list."""
        return self._in_text(self._in_documents(text, _kind_of("")), _kind_of(""))

    def _in_documents(self, text: str, kind: _Kind) -> str:
        """Return a text without the secrets that CSV, JSON, calls and markup in it name."""
        if kind.is_table or (not kind.is_structured and redact_csv.is_table(text)):
            text = redact_csv.in_table(text, self.decider)
        with_variables = redact_calls.with_secret_variables(text, self.decider)
        text = redact_json.in_json(in_json_paths(text, self.decider), with_variables)
        text = redact_calls.in_defaults(text, with_variables)
        text = redact_calls.in_positions(text, self.decider)
        text = redact_json.in_strings(text, _DOCUMENT_MARKS, self._embedded)
        return redact_markup.in_markup(text, self.decider) if "<" in text else text

    def _in_text(self, text: str, kind: _Kind) -> str:
        """Return a text without secrets in assignments, commands, lines, tables, URLs, and next to their names."""
        is_code = kind.is_script or _MARKUP_START.match(text) is not None
        is_structured = is_code or kind.is_structured or _JSON.match(text) is not None
        is_script = is_code and not kind.is_html and "<" not in text[:1]
        place = Place.CODE if is_code else Place.MEMBER
        text = in_commands(texts.in_assignments(text, self.decider, place), self.decider, place)
        text = in_resp(text, self.decider)
        if not is_structured:
            text = in_named_lines(text, self.decider, Place.MEMBER if kind.is_yaml else Place.CODE)
        elif not is_script:
            text = in_prose(texts.in_tight_pairs(text, self.decider, place), self.decider)
        has_secret_word = may_have_secret_word(text)
        text = self._in_tables(text, is_code) if has_secret_word else text
        text = texts.in_lines(in_paths(texts.in_userinfo(text, self.decider), self.decider), self.decider)
        text = self._redact_shapes((texts.in_links if is_script else texts.in_parameters)(text, self.decider))
        return in_adjacent(text, self.decider, is_structured) if has_secret_word else text

    def _in_tables(self, text: str, is_code: bool) -> str:
        """Return a text that has the name of a secret without secrets in tables, SQL, and strings with a length."""
        if "<t" in text:
            text = in_html_tables(text, self.decider)
        if not is_code:
            text = redact_json.in_strings(text, _LINES_MARKS, self._in_lines)
            text = text if _JSON.match(text) else self._in_lines(text)
        return in_sql(text, self.decider)

    def _in_lines(self, text: str) -> str:
        return in_lengths(in_text_tables(text, self.decider), self.decider)

    def _redact_shapes(self, text: str) -> str:
        text = in_pattern(text, self.decider)
        return in_base64(in_shapes(text, lambda secret: self.decider.hide(secret, "shape")), self._embedded)

    def _embedded(self, text: str) -> str:
        """Return a text that was encoded within another one, as a JSON string or in base64, without secrets."""
        if (sasl := _SASL_PLAIN.fullmatch(text)) is not None:
            return sasl[1] + self.decider.replace("password", sasl[2])
        content = as_bytes(text)
        replaced = self.content(content, "")
        return text if replaced == content else replaced.decode("utf-8", "surrogateescape")

    def _document_text(self, text: str) -> str:
        return self.text(text, "application/json")

    def document(self, value: Any, name: str = "") -> Any:
        """Return a JSON document without secrets, such as a trace or fields of a HAR file of another tool."""
        if isinstance(value, str):
            replaced = self.decider.replace(name, value) if name else value
            return self.text(value) if replaced == value else replaced
        if isinstance(value, dict):
            return {key: self.document(item, str(key)) for key, item in value.items()}
        return [self.document(item, name) for item in value] if isinstance(value, list | tuple) else value
