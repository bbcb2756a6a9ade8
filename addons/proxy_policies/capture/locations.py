"""The locations of values in messages that may come from another message: cookies, tokens, ids.

A location is named as `cookie:sid`, `json:$.user.id`, `input:csrf`, `query:page`, `form:csrf`, `header:x-token`,
`path:2` (the third segment), `location:…` (the same, of a redirect's URL), or `within:json:$.text order 1` (what
follows the first `order` in a text).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit, urlunsplit

from proxy_policies.capture.bodies import json_path, parsed_body
from proxy_policies.capture.har.body import charset, decode_text
from proxy_policies.capture.model import Body, Headers, Request, Response, header
from proxy_policies.capture.secrets.placeholders import is_number
from proxy_policies.capture.streams.events import rewrite
from proxy_policies.capture.streams.frames import framing_of

_TAG = re.compile(r"<(?:input|meta)\b[^>]*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\b(name|id|value|content)\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_LINK = re.compile(r"""\b(?:href|action|src)\s*=\s*["']([^"']*)["']""", re.IGNORECASE)
_ID_IN_TEXT = re.compile(
    r"(?P<word>[^\W\d_]{1,50}+)(?:[ \t:#=>\"'(/\[]|\\/){1,4}(?=[\w-]{0,99}\d)(?P<id>[\w-]{1,128}+)(?!\.\d)"
)
MAX_TEXT = 1 << 16
"""Characters of a text in which identifiers are looked for: scripts have more, and no identifiers of a session."""
WITHIN = "within:"
"""The beginning of the location of an identifier within a text."""
EXCLUDED_FIELDS = frozenset(
    [
        *(
            "host",
            "content-length",
            "content-type",
            "accept",
            "accept-encoding",
            "accept-language",
            "user-agent",
            "date",
        ),
        *("connection", "server", "origin", "referer", "cache-control", "pragma", "vary", "via"),
    ]
)


@dataclass(frozen=True, slots=True)
class Location:
    """A location in a message, the name of its value, and the value as text."""

    where: str
    name: str
    value: str


def values_in_response(response: Response, within_texts: bool = False) -> Iterator[Location]:
    """Yield the locations of a response whose values a later request may send.

    Identifiers `within_texts` are named by the word before them: `order 1234 was created`, `/orders/1234` and
    `<order>1234</order>` have one, in JSON or in a text of any other type.
    """
    for name, value in response.headers:
        yield from _response_field(name.lower(), value)
    parsed = parsed_body.parse(response.body, response.headers)
    if parsed.is_document:
        yield from _json(parsed.value, within_texts)
    elif parsed.kind is parsed_body.BodyKind.HTML:
        yield from _html(parsed.value)
    elif parsed.kind is parsed_body.BodyKind.TEXT and within_texts:
        yield from _ids_within(parsed.value, "text")


def _ids_within(text: str, where: str) -> Iterator[Location]:
    counts = Counter[str]()
    for found in _ID_IN_TEXT.finditer(text) if len(text) <= MAX_TEXT else ():
        counts[found["word"]] += 1
        yield Location(f"{WITHIN}{where} {found['word']} {counts[found['word']]}", found["word"], found["id"])


def _response_field(name: str, value: str) -> Iterator[Location]:
    if name == "set-cookie":
        cookie, _, text = value.partition(";")[0].partition("=")
        yield Location(f"cookie:{cookie.strip()}", cookie.strip(), text.strip())
    elif name == "location":
        for location in _url(value):
            yield replace(location, where=f"location:{location.where}")
    elif name not in EXCLUDED_FIELDS:
        yield Location(f"header:{name}", name, value)


def _json(document: Any, within_texts: bool = False) -> Iterator[Location]:
    for path, name, value in json_path.written_leaves(document):
        if isinstance(value, str | int) and not isinstance(value, bool):
            yield Location(f"json:{path}", name, str(value))
        if within_texts and isinstance(value, str) and not value.isalnum():
            yield from _ids_within(value, f"json:{path}")


def _html(text: str) -> Iterator[Location]:
    for tag in _TAG.finditer(text, 0, text.rfind(">") + 1):  # an incomplete tag is skipped, in linear time
        found = {part[1].lower(): part[2] or part[3] or "" for part in _ATTRIBUTE.finditer(tag[0])}
        name = found.get("name") or found.get("id") or ""
        value = found.get("value") or found.get("content") or ""
        if name and value:
            yield Location(f"input:{name}", name, value)
    for number, link in enumerate(_LINK.finditer(text)):
        for location in _url(link[1]):
            yield replace(location, where=f"link:{number}:{location.where}")


def _url(url: str) -> Iterator[Location]:
    parts = urlsplit(url)
    segments = parts.path.split("/")[1:]
    for index, segment in enumerate(segments):
        if segment:
            yield Location(f"path:{index}", segments[index - 1] if index else "", unquote(segment))
    for pair in parts.query.split("&"):
        name, equals, value = pair.partition("=")
        if equals:
            yield Location(f"query:{unquote_plus(name)}", unquote_plus(name), unquote_plus(value))


def values_in_request(request: Request) -> Iterator[Location]:
    """Yield the locations of a request whose values may be from an earlier response."""
    yield from _url(request.url)
    for name, value in request.headers:
        yield from _request_field(name.lower(), value)
    parsed = parsed_body.parse(request.body, request.headers)
    if parsed.is_document:
        yield from _json(parsed.value)
    elif parsed.kind is parsed_body.BodyKind.FORM:
        yield from (Location(f"form:{name}", name, value) for name, value in parsed.value)


def _request_field(name: str, value: str) -> Iterator[Location]:
    if name == "cookie":
        for part in value.split(";"):
            cookie, equals, text = part.strip().partition("=")
            if equals:
                yield Location(f"cookie:{cookie}", cookie, text)
    elif name in ("authorization", "proxy-authorization"):
        yield Location(f"header:{name}", name, value.partition(" ")[2] or value)
    elif name not in EXCLUDED_FIELDS:
        yield Location(f"header:{name}", name, value)


def set_values(request: Request, values: Mapping[str, str]) -> Request:
    """Return the request with new values at these locations; those that it does not have are ignored."""
    if not values:
        return request
    request = replace(request, url=_write_url(request.url, values), headers=_write_headers(request.headers, values))
    return replace(request, body=_write_body(request, values))


def _write_url(url: str, values: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    segments = parts.path.split("/")
    for index in range(1, len(segments)):
        if f"path:{index - 1}" in values:
            segments[index] = quote(values[f"path:{index - 1}"], safe="")
    query = "&".join(_write_pair("query", pair, values) for pair in parts.query.split("&"))
    return urlunsplit((parts.scheme, parts.netloc, "/".join(segments), query, parts.fragment))


def _write_pair(kind: str, pair: str, values: Mapping[str, str]) -> str:
    name, equals, _ = pair.partition("=")
    where = f"{kind}:{unquote_plus(name)}"
    return f"{name}={quote_plus(values[where])}" if equals and where in values else pair


def _write_headers(headers: Headers, values: Mapping[str, str]) -> Headers:
    return tuple((name, _write_field(name.lower(), value, values)) for name, value in headers)


def _write_field(name: str, value: str, values: Mapping[str, str]) -> str:
    if name == "cookie":
        return "; ".join(_write_cookie(part.strip(), values) for part in value.split(";"))
    if f"header:{name}" not in values:
        return value
    scheme, space, _ = value.partition(" ")
    is_credentials = name in ("authorization", "proxy-authorization") and space
    return f"{scheme} {values[f'header:{name}']}" if is_credentials else values[f"header:{name}"]


def _write_cookie(part: str, values: Mapping[str, str]) -> str:
    name, equals, _ = part.partition("=")
    return f"{name}={values[f'cookie:{name}']}" if equals and f"cookie:{name}" in values else part


def _write_body(request: Request, values: Mapping[str, str]) -> Body:
    mime = header(request.headers, "content-type") or ""
    parsed = parsed_body.parse(request.body, request.headers)
    if parsed.kind is parsed_body.BodyKind.STREAM:
        content = _write_stream(request.body.content, mime, parsed.value, values)
        return request.body if content == request.body.content else replace(request.body, content=content, wire=None)
    text = decode_text(request.body.content, mime)
    if text is None:
        return request.body
    if parsed.kind is parsed_body.BodyKind.FORM:
        text = "&".join(_write_pair("form", pair, values) for pair in text.split("&"))
    elif parsed.kind is parsed_body.BodyKind.JSON:
        text = _write_json(text, values)
    content = text.encode(charset(mime))
    return request.body if content == request.body.content else replace(request.body, content=content, wire=None)


def _write_stream(content: bytes, mime: str, document: Any, values: Mapping[str, str]) -> bytes:
    """Replace the texts at these locations, in each frame that contains them."""
    leaves = {f"json:{path}": value for path, _, value in json_path.written_leaves(document)}
    texts = {leaves[where]: values[where] for where in values if isinstance(leaves.get(where), str)}
    framing = framing_of(content, mime)

    def replaced(text: str) -> str:
        if text in texts:
            return texts[text]
        for old, new in texts.items():
            value = as_integer(new) if _is_number(old) else new
            text = text.replace(json.dumps(old, ensure_ascii=False), json.dumps(value, ensure_ascii=False))
        return text

    return content if framing is None or not texts else rewrite(content, framing, replaced)


def _write_json(text: str, values: Mapping[str, str]) -> str:
    document = json.loads(text)
    leaves = {f"json:{json_path.write(steps)}": (steps, value) for steps, value in json_path.leaves(document)}
    found = [where for where in values if where in leaves]
    for where in found:
        steps, old = leaves[where]
        new = as_integer(values[where]) if _is_number(old) else values[where]
        if not steps:
            return json.dumps(new)
        json_path.put(document, steps, new)
    return json.dumps(document, ensure_ascii=False) if found else text


def _is_number(value: object) -> bool:
    return isinstance(value, int) or is_number(value)


def as_integer(text: str) -> int | str:
    """Return a text as an integer if it is the JSON of one; else the text, as for `007`."""
    try:
        number = int(text)
    except ValueError:
        return text
    return number if str(number) == text else text
