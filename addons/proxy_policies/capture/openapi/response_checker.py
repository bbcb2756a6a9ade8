"""Checking responses against an OpenAPI document, 3.0 or 3.1: path, method, status, media type and JSON schema."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from proxy_policies.capture.bodies import parsed_body
from proxy_policies.capture.bodies.parsed_body import BodyKind
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.model import Request, Response, media_type
from proxy_policies.capture.openapi.json_schema import Schemas
from proxy_policies.capture.openapi.references import Document
from proxy_policies.fields import media_type_of

WITHOUT_CONTENT = (204, 205, 304)
"""Statuses of responses without content (RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5)."""
_PARAMETER = re.compile(r"\{[^/{}]+\}")


@dataclass(frozen=True, slots=True)
class Problem:
    """A violation by a response: location, what the document says, and the value found."""

    location: str
    expected: Any
    found: Any


class ResponseChecker:
    """Checks responses against a document. Raises CaptureError if the document cannot be used."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._schemas = Schemas(document)
        self._server_paths = sorted({*_server_paths(document.root.get("servers"))} or {""}, key=len, reverse=True)
        paths = document.mapping("paths")
        self._paths = [_Path(template, _pattern(template)) for template in sorted(paths, key=_parameters_last)]

    def problems(self, request: Request, response: Response) -> Iterator[Problem]:
        """Yield the violations of the response to a request. Raise CaptureError for an invalid document."""
        path = _normalized(urlsplit(request.url).path or "/")
        template = next(self._candidates(path), None)
        if template is None:
            yield Problem("openapi:path", "a path of the document", path)
            return
        item = self._document.at(["paths", template])
        method = request.method.lower()
        if not isinstance(item.value, Mapping) or method not in item.value:
            yield Problem("openapi:method", _methods(item.value), request.method)
            return
        responses = self._document.at([*item.pointer, method, "responses"])
        name = _status_of(responses.value, response.status)
        if name is None:
            yield Problem("openapi:status", ", ".join(map(str, responses.value or {})), response.status)
            return
        described = self._document.at([*responses.pointer, name])
        yield from self._content_problems(request, response, described.pointer, described.value)

    def _candidates(self, path: str) -> Iterator[str]:
        """Yield the templates that a path matches after the path of a server; those with fewer parameters first."""
        for prefix in self._server_paths:
            if path.startswith(f"{prefix}/"):
                rest = path.removeprefix(prefix)
                yield from (known.template for known in self._paths if known.pattern.fullmatch(rest))

    def _content_problems(
        self, request: Request, response: Response, pointer: list[str], described: Any
    ) -> Iterator[Problem]:
        content = (described.get("content") if isinstance(described, Mapping) else None) or {}
        if request.method == "HEAD" or response.status in WITHOUT_CONTENT or response.body.dropped:
            return
        parsed = parsed_body.parse(response.body, response.headers)
        is_empty, mime = parsed.kind is BodyKind.EMPTY, media_type(response.headers)
        if is_empty or not content:
            if bool(content) == is_empty:
                found = "no content" if is_empty else mime or "content of no media type"
                yield Problem("openapi:content", ", ".join(content) or "no content", found)
            return
        name = _media_range(content, mime or "application/octet-stream")  # RFC 9110 section 8.3
        if name is None:
            yield Problem("openapi:content", ", ".join(content), mime or "no media type")
        elif "json" in mime:
            yield from self._json_problems([*pointer, "content", name], parsed)

    def _json_problems(self, pointer: list[str], parsed: parsed_body.Parsed) -> Iterator[Problem]:
        described = self._document.at(pointer)
        if (
            parsed.kind is BodyKind.STREAM
            or not isinstance(described.value, Mapping)
            or "schema" not in described.value
        ):
            return
        if parsed.kind is not BodyKind.JSON:
            yield Problem("openapi:content", "JSON", "no JSON")
            return
        for problem in self._schemas.problems([*described.pointer, "schema"], parsed.value):
            yield Problem(*problem)


@dataclass(frozen=True, slots=True)
class _Path:
    template: str
    pattern: re.Pattern[str]


def _pattern(template: str) -> re.Pattern[str]:
    """Return a pattern for the paths of a template: a parameter has no slash (OpenAPI 3.1, 4.8.8.2)."""
    pieces = _PARAMETER.split(template)
    return re.compile("[^/]+".join(re.escape(_normalized(piece)) for piece in pieces))


def _normalized(path: str) -> str:
    """Return the path with its percent-encoding normalized (RFC 3986 section 6.2.2)."""
    return "/".join(quote(unquote(segment), safe="!$&'()*+,;=:@~") for segment in path.split("/"))


def _parameters_last(template: str) -> tuple[list[bool], str]:
    return [bool(_PARAMETER.search(segment)) for segment in template.split("/")], template


def _server_paths(servers: Any) -> Iterator[str]:
    """Yield the path of each server's URL, without a final slash, and with the default values of variables."""
    for server in servers if isinstance(servers, list) else ():
        url = str(server.get("url", "")) if isinstance(server, Mapping) else ""
        for name, variable in dict(server.get("variables") or {}).items() if isinstance(server, Mapping) else ():
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
        yield _normalized(urlsplit(url).path.rstrip("/"))


def _methods(item: Any) -> str:
    known = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
    return ", ".join(name.upper() for name in known if isinstance(item, Mapping) and name in item) or "no method"


def _status_of(responses: Any, status: int) -> str | None:
    """Return the key for a status: itself, its class, or `default`."""
    names = {str(name).upper(): str(name) for name in responses or {}}
    return next((names[key] for key in (str(status), f"{status // 100}XX", "DEFAULT") if key in names), None)


def _media_range(content: Iterable[str], mime: str) -> str | None:
    """Return the most specific media type or range that matches a media type (RFC 9110 section 12.5.1)."""
    ranges = {media_type_of(name): name for name in content}
    return next((ranges[key] for key in (mime, f"{mime.partition('/')[0]}/*", "*/*") if key in ranges), None)


def checker_of(document: Document) -> ResponseChecker:
    """Return the checker for a document. Raise CaptureError if its version is not supported."""
    version = str(document.root.get("openapi") or document.root.get("swagger") or "")
    if not version.startswith(("3.0", "3.1")):
        found = f"of version {version}" if version else "no OpenAPI document"
        raise CaptureError(f"{document.name}: {found}; OpenAPI 3.0 and 3.1 are supported")
    return ResponseChecker(document)
