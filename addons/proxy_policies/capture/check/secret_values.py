"""Substitute real values for placeholders when a redacted recording is sent again."""

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from proxy_policies.capture import locations
from proxy_policies.capture.bodies.parsed_body import BodyKind, parse
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.model import Body, Headers, Request, header, media_type
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, Placeholders, fill_numbers, identity
from proxy_policies.capture.streams.events import rewrite_binary
from proxy_policies.options.files import read_text

type Escape = Callable[[str], str]

_PLACEHOLDER_BYTES = re.compile(PLACEHOLDER.pattern.encode())


def parse_secrets(specs: Iterable[str], files: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets of `NAME=env:VAR`, `NAME=file:PATH` and files of `NAME=value` lines, by name.

    Raise CaptureError for invalid ones; its message contains no secret.
    """
    found: dict[str, str] = {}
    for path in files:
        found |= _read_file(Path(path))
    for spec in specs:
        name, _, source = spec.partition("=")
        kind, _, where = source.partition(":")
        if kind == "env" and where in environment:
            found[name] = environment[where]
        elif kind == "file" and where:
            found[name] = read_text(Path(where), allow_pipe=True).strip()
        else:
            problem = (
                f"{where} is not set in the environment" if kind == "env" else "write NAME=env:VAR or NAME=file:PATH"
            )
            raise CaptureError(f"--secret {name}: {problem}")
    return found


def _read_file(path: Path) -> dict[str, str]:
    found = {}
    for number, line in enumerate(read_text(path, allow_pipe=True).splitlines(), 1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals:
            raise CaptureError(f"{path}, line {number}: write NAME=value")
        found[name.strip()] = value.strip()
    return found


@dataclass(slots=True)
class SecretValues:
    """Secrets, by a location or a placeholder given as name, or by their own placeholder with the current key."""

    secrets: Mapping[str, str]
    placeholders: Placeholders
    _by_placeholder: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self._by_placeholder = {identity(self.placeholders.of(value)): value for value in self.secrets.values()}
        named = {identity(name): value for name, value in self.secrets.items() if PLACEHOLDER.fullmatch(name)}
        self._by_placeholder |= named

    def substitute(self, request: Request) -> Request:
        """Return a request with each placeholder of a known secret replaced by its value."""
        request = locations.set_values(request, dict(self._values_by_name(request)))
        return replace(
            request,
            url=self._fill(request.url, _percent_encoded),
            headers=tuple((name, self._fill(value)) for name, value in request.headers),
            body=self._fill_body(request.body, request.headers),
        )

    def _values_by_name(self, request: Request) -> Iterator[tuple[str, str]]:
        for location in locations.values_in_request(request):
            value = self.secrets.get(location.where, self.secrets.get(location.name))
            if value is not None and PLACEHOLDER.search(location.value):
                yield location.where, PLACEHOLDER.sub(lambda _: value, location.value)  # noqa: B023 - used at once

    def _fill(self, text: str, escape: Escape = str) -> str:
        """Return a text with the placeholders of known secrets replaced by their values, escaped for the text."""

        def value(found: re.Match[str]) -> str:
            known = self._by_placeholder.get(identity(found[0]))
            return found[0] if known is None else escape(known)

        return PLACEHOLDER.sub(value, text)

    def _fill_body(self, body: Body, headers: Headers) -> Body:
        if _PLACEHOLDER_BYTES.search(body.content) is None:
            return body
        content = rewrite_binary(body.content, header(headers, "content-type") or "", self._fill)
        if content is None:
            escape = _escape_of(body, headers)
            content = _PLACEHOLDER_BYTES.sub(
                lambda found: self._fill(found[0].decode("ascii"), escape).encode(),
                fill_numbers(body.content, self._number_for),
            )
        return body if content == body.content else replace(body, content=content, wire=None)

    def _number_for(self, placeholder: str) -> str:
        value = self._by_placeholder.get(identity(placeholder), "")
        return value if locations.as_integer(value) != value else ""


def _percent_encoded(value: str) -> str:
    return quote(value, safe="")


def _in_json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


_ESCAPES: Mapping[BodyKind, Escape] = {
    **{BodyKind.FORM: _percent_encoded, BodyKind.JSON: _in_json, BodyKind.STREAM: _in_json}
}


def _escape_of(body: Body, headers: Headers) -> Escape:
    """Return the function that escapes a value for a body of this type."""
    if media_type(headers).endswith("xml"):
        return html.escape
    return _ESCAPES.get(parse(body, headers).kind, str)


def unresolved(request: Request) -> list[str]:
    """Return the placeholders left in a request, each with a location: `secret_… (header:authorization)`."""
    found = {
        match: location.where
        for location in locations.values_in_request(request)
        for match in PLACEHOLDER.findall(location.value)
    }
    texts = [request.url, *(value for _, value in request.headers), request.body.content.decode("latin-1")]
    for text in texts:
        for match in PLACEHOLDER.findall(text):
            found.setdefault(match, "somewhere in it")
    return [f"{placeholder} ({where})" for placeholder, where in found.items()]
