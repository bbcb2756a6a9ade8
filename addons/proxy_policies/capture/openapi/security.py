"""The authorisation of requests as OpenAPI's security schemes: the locations of secrets, without their values."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from proxy_policies.capture.model import Request
from proxy_policies.capture.openapi.path_templates import camel_case
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, kind

type Scheme = tuple[str, dict[str, Any]]
"""A security scheme and its name."""


def schemes_of(request: Request) -> Iterator[Scheme]:
    """Yield the security schemes of a redacted request."""
    for name, value in request.headers:
        lower = name.lower()
        if lower == "authorization":
            yield _credentials(value)
        elif lower == "cookie":
            yield from (_api_key(part, "cookie") for part in _secret_cookies(value))
        elif PLACEHOLDER.search(value) and lower not in ("referer", "proxy-authorization"):
            yield _api_key(name, "header")
    for name in secret_queries(request.url):
        yield _api_key(name, "query")


def secret_queries(url: str) -> list[str]:
    """Return the names of query parameters whose value is a secret."""
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


def _api_key(name: str, location: str) -> Scheme:
    shown = name.lower() if location == "header" else name  # HTTP/2 has lower case only
    return f"{camel_case(name) or 'key'}{location.capitalize()}", {"type": "apiKey", "in": location, "name": shown}
