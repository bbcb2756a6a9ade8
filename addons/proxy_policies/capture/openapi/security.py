"""How requests say who sends them, as OpenAPI's security schemes: where secrets stand, never what they are."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from proxy_policies.capture.model import Request
from proxy_policies.capture.openapi.path_templates import camel_case
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, kind

type Scheme = tuple[str, dict[str, Any]]
"""A security scheme and its name."""


def schemes_of(request: Request) -> Iterator[Scheme]:
    """Yield the schemes by which a redacted request is authorised."""
    for name, value in request.headers:
        lower = name.lower()
        if lower == "authorization":
            yield _credentials(value)
        elif lower == "cookie":
            yield from (_key(part, "cookie") for part in _secret_cookies(value))
        elif PLACEHOLDER.search(value) and lower not in ("referer", "proxy-authorization"):
            yield _key(name, "header")
    for name in secret_queries(request.url):
        yield _key(name, "query")


def secret_queries(url: str) -> list[str]:
    """Return the names of parameters that have a secret for their value."""
    return [name for name, value in parse_qsl(urlsplit(url).query) if PLACEHOLDER.search(value)]


def _credentials(value: str) -> Scheme:
    """Return the scheme of an Authorization field (RFC 9110 section 11.4)."""
    scheme, space, credentials = value.strip().partition(" ")
    if not space:
        return "authorization", {"type": "apiKey", "in": "header", "name": "Authorization"}
    definition = {"type": "http", "scheme": scheme.lower()}
    if scheme.lower() == "bearer" and kind(credentials).startswith("jwt"):
        definition["bearerFormat"] = "JWT"
    return f"{camel_case(scheme)}Auth", definition


def _secret_cookies(value: str) -> Iterator[str]:
    for part in value.split(";"):
        name, equals, secret = part.strip().partition("=")
        if equals and PLACEHOLDER.search(secret):
            yield name


def _key(name: str, place: str) -> Scheme:
    shown = name.lower() if place == "header" else name  # in HTTP/2 all are lower case
    return f"{camel_case(name) or 'key'}{place.capitalize()}", {"type": "apiKey", "in": place, "name": shown}
