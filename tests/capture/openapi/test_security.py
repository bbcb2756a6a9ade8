"""Secrets in requests are reported with their places."""

from typing import Any

import pytest

from proxy_policies.capture.model import Request
from proxy_policies.capture.openapi.security import schemes_of

TOKEN = "secret_0123456789abcdef_token032"
JWT = "secret_0123456789abcdef_jwt256"
SCHEMES: dict[str, tuple[Request, dict[str, Any]]] = {
    "basic": (
        Request("GET", "http://a.test/", (("Authorization", f"Basic {TOKEN}"),)),
        {"basicAuth": {"type": "http", "scheme": "basic"}},
    ),
    "bearer": (
        Request("GET", "http://a.test/", (("authorization", f"Bearer {TOKEN}"),)),
        {"bearerAuth": {"type": "http", "scheme": "bearer"}},
    ),
    "jwt": (
        Request("GET", "http://a.test/", (("Authorization", f"Bearer {JWT}"),)),
        {"bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
    ),
    "bare": (
        Request("GET", "http://a.test/", (("Authorization", TOKEN),)),
        {"authorization": {"type": "apiKey", "in": "header", "name": "Authorization"}},
    ),
    "header": (
        Request("GET", "http://a.test/", (("X-Api-Key", TOKEN), ("Referer", f"http://a.test/?k={TOKEN}"))),
        {"xApiKeyHeader": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
    ),
    "cookie": (
        Request("GET", "http://a.test/", (("Cookie", f"theme=dark; sid={TOKEN}"),)),
        {"sidCookie": {"type": "apiKey", "in": "cookie", "name": "sid"}},
    ),
    "query": (
        Request("GET", f"http://a.test/?api_key={TOKEN}&page=2"),
        {"apiKeyQuery": {"type": "apiKey", "in": "query", "name": "api_key"}},
    ),
    "none": (Request("GET", "http://a.test/?page=2", (("X-Page", "3"),)), {}),
}


@pytest.mark.parametrize(("request_", "schemes"), SCHEMES.values(), ids=SCHEMES)
def test_schemes_are_told(request_: Request, schemes: dict[str, Any]) -> None:
    assert dict(schemes_of(request_)) == schemes
