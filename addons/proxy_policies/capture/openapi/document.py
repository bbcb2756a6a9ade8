"""An OpenAPI 3.1 document of captured traffic: paths, parameters, bodies and responses, merged from all examples.

It does not depend on the order of the exchanges, and contains none of their values.
"""

from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from proxy_policies.capture.bodies import parsed_body
from proxy_policies.capture.bodies.parsed_body import BodyKind
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, header, media_type
from proxy_policies.capture.openapi.path_templates import camel_case, template_of
from proxy_policies.capture.openapi.security import schemes_of, secret_queries
from proxy_policies.capture.openapi.value_shape import TextShape, ValueShape
from proxy_policies.capture.websocket.transcript import is_conversation

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
"""The methods of a path item (OpenAPI 3.1, section 4.8.9), in its order."""
MAX_STATUS = 599
"""The last status that can be described by itself (OpenAPI 3.1, section 4.8.16); LinkedIn sends 999."""
UNAUTHORISED = (401, 403)
"""Statuses of requests without authorisation, which must not make it optional."""


class Content:
    """The bodies of a request or a response, by media type."""

    def __init__(self) -> None:
        self.count = 0
        self._shapes: dict[str, ValueShape | FormShape | None] = {}

    def add(self, body: Body, headers: Headers) -> None:
        """Add a body, unless it is empty."""
        parsed = parsed_body.parse(body, headers)
        if parsed.kind is BodyKind.EMPTY:
            return
        self.count += 1
        mime = media_type(headers) or "application/octet-stream"
        if parsed.kind is BodyKind.JSON and "json" in mime:
            _shape(self._shapes, mime, ValueShape).add(parsed.value)
        elif parsed.kind in (BodyKind.FORM, BodyKind.MULTIPART):
            _shape(self._shapes, mime, FormShape).add([(pair[0], pair[-1]) for pair in parsed.value])
        else:
            self._shapes.setdefault(mime, None if parsed.kind is BodyKind.BYTES else _any_text())

    def document(self) -> dict[str, Any]:
        """Return the request body object, or the content of a response object."""
        found = {mime: {"schema": shape.schema()} if shape else {} for mime, shape in sorted(self._shapes.items())}
        return {"content": found} if found else {}


def _shape[Shape: (ValueShape, "FormShape")](shapes: dict[str, Any], mime: str, kind: type[Shape]) -> Shape:
    """Return the shape of this kind for a media type, in place of one of another kind."""
    if not isinstance(shapes.get(mime), kind):
        shapes[mime] = kind()
    found: Shape = shapes[mime]
    return found


def _any_text() -> ValueShape:
    shape = ValueShape()
    shape.add("")
    return shape


class FormShape:
    """The fields of forms."""

    def __init__(self) -> None:
        self._count = 0
        self._fields: dict[str, TextShape] = {}

    def add(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Add the fields of a form."""
        self._count += 1
        add_texts(self._fields, pairs)

    def schema(self) -> dict[str, Any]:
        """Return the schema of the form as an object."""
        required = sorted(name for name, shape in self._fields.items() if shape.count == self._count)
        properties = {name: shape.schema() for name, shape in sorted(self._fields.items())}
        return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def add_texts(shapes: dict[str, TextShape], pairs: Iterable[tuple[str, str]]) -> None:
    """Add the values of one message to the shapes of their names."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    for name, texts in values.items():
        shapes.setdefault(name, TextShape()).add(texts)


class Operation:
    """The exchanges of one method and path."""

    def __init__(self) -> None:
        self._count = 0
        self._path: dict[str, TextShape] = {}
        self._query: dict[str, TextShape] = {}
        self._body = Content()
        self._responses: dict[str, tuple[str, Content]] = {}
        self._security: set[tuple[str, ...]] = set()

    def add(self, entry: Entry, values: Iterable[tuple[str, str]], schemes: Iterable[str]) -> None:
        """Add an exchange."""
        request, response = entry.request, entry.response
        self._count += 1
        add_texts(self._path, values)
        hidden = set(secret_queries(request.url))
        queries = parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
        add_texts(self._query, [pair for pair in queries if pair[0] not in hidden])
        self._body.add(request.body, request.headers)
        key = str(response.status) if response.status <= MAX_STATUS else "default"
        content = self._responses.setdefault(key, (_description(response.status), Content()))[1]
        content.add(response.body, response.headers)
        if response.status not in UNAUTHORISED:
            self._security.add(tuple(sorted(set(schemes))))

    def document(self, name: str) -> dict[str, Any]:
        """Return the operation object."""
        parameters = [_parameter(key, "path", shape, True) for key, shape in self._path.items()]
        for key, shape in sorted(self._query.items()):
            parameters.append(_parameter(key, "query", shape, shape.count == self._count))
        body = self._body.document()
        if body and self._body.count == self._count:
            body["required"] = True
        optional = {"parameters": parameters, "requestBody": body, "security": self._requirements()}
        responses = {
            key: {"description": description, **content.document()}
            for key, (description, content) in sorted(self._responses.items())
        }
        return {"operationId": name, **{key: item for key, item in optional.items() if item}, "responses": responses}

    def _requirements(self) -> list[dict[str, list[str]]]:
        found: list[dict[str, list[str]]] = [{name: [] for name in names} for names in sorted(self._security)]
        return [] if found == [{}] else found


def _parameter(name: str, location: str, shape: TextShape, required: bool) -> dict[str, Any]:
    return {"name": name, "in": location} | ({"required": True} if required else {}) | {"schema": shape.schema()}


def _description(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}" if status <= MAX_STATUS else "Any other status"


class DocumentBuilder:
    """Builds the document of exchanges, which must be redacted."""

    def __init__(self) -> None:
        self._origins: Counter[str] = Counter()
        self._origins_of: dict[str, set[str]] = {}
        self._operations: dict[tuple[str, str], Operation] = {}
        self._schemes: dict[str, dict[str, Any]] = {}

    def add(self, entry: Entry) -> None:
        """Add an exchange, unless OpenAPI cannot describe it."""
        if undescribed_reason(entry.request, entry.response):
            return
        request = entry.request
        path = template_of(urlsplit(request.url).path)
        schemes = dict(schemes_of(request))
        self._schemes |= schemes
        self._origins[request.origin] += 1
        self._origins_of.setdefault(path.template, set()).add(request.origin)
        operation = self._operations.setdefault((path.template, request.method.lower()), Operation())
        operation.add(entry, path.values, schemes)

    def document(self) -> dict[str, Any]:
        """Return the document. Its servers are the origins, the most frequent first."""
        origins = sorted(self._origins, key=lambda origin: (-self._origins[origin], origin))
        paths: dict[str, Any] = {}
        names: set[str] = set()
        order = sorted(self._operations, key=lambda key: (key[0], METHODS.index(key[1])))
        for template, method in order:
            item = paths.setdefault(template, self._servers_of(template, origins))
            item[method] = self._operations[template, method].document(_operation_id(method, template, names))
        host = urlsplit(origins[0]).netloc if origins else "nothing"
        document: dict[str, Any] = {
            "openapi": "3.1.0",
            "info": {"title": host, "version": "0", "description": "Made of captured traffic by proxy-policies."},
            "servers": [{"url": origin} for origin in origins],
            "paths": paths,
        }
        if self._schemes:
            document["components"] = {"securitySchemes": dict(sorted(self._schemes.items()))}
        return {name: value for name, value in document.items() if value or name == "paths"}

    def _servers_of(self, template: str, origins: list[str]) -> dict[str, Any]:
        """Return the `servers` of a path; none if all origins have it."""
        servers = [origin for origin in origins if origin in self._origins_of[template]]
        return {} if servers == origins else {"servers": [{"url": origin} for origin in servers]}


def undescribed_reason(request: Request, response: Response) -> str:
    """Return why OpenAPI cannot describe an exchange; empty if it can."""
    if is_conversation(response):
        return "OpenAPI does not describe WebSocket connections"
    if response.status < 200:
        return "no response was recorded"
    if request.method.lower() not in METHODS:
        return f"OpenAPI does not describe the method {request.method}"
    is_preflight = request.method == "OPTIONS" and header(request.headers, "access-control-request-method") is not None
    return "OpenAPI does not describe preflight requests of CORS" if is_preflight else ""


def _operation_id(method: str, template: str, names: set[str]) -> str:
    """Return a unique name for an operation: `getOrdersByOrderId`."""
    words = " ".join(_segment_words(segment) for segment in template.split("/") if segment)
    name = base = camel_case(f"{method} {words}") or method
    number = 2
    while name in names:
        name, number = f"{base}{number}", number + 1
    names.add(name)
    return name


def _segment_words(segment: str) -> str:
    return f"by {segment.strip('{}')}" if segment.startswith("{") else segment


def openapi_document(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return the document of redacted exchanges."""
    builder = DocumentBuilder()
    for entry in entries:
        builder.add(entry)
    return builder.document()
