"""Tokens in paths: they are replaced, and no other segment is."""

import json

import pytest

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_message import MessageRedactor
from proxy_policies.capture.secrets.rules import RedactionRules

S = "Zq7hT4kQ9xZab3Wm1Lp8"
HEX = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
TOKENS = [
    *(
        "/login/~",
        "/log-in/~?a=b",
        "/users/signin/~/x",
        "/sign-in/~",
        "/sso/~#y",
        "/api/otp/~",
        "/unlock/~",
        "/Login/~",
    ),
    *("/reset/~", "/reset-password/42/~", "/email/confirmation/~", "/magic/~", "/#/login/~"),
]
STAYS = [
    *("/login/index.html", "/login/oauth/authorize", "/login/2026-11-30", f"/login/chunk-vendors.{HEX}.js"),
    *(f"/lesson/{HEX}", f"/designing/{HEX}", f"/hotpots/{HEX}", f"/users/{HEX}", "/sso/saml/acs", f"/login-page/{HEX}"),
]


def redactor() -> MessageRedactor:
    return MessageRedactor(Decider(RedactionRules(), lambda *_: "~", is_response=True))


@pytest.mark.parametrize("path", TOKENS)
@pytest.mark.parametrize("secret", [S, HEX], ids=["token", "hex"])
def test_a_token_is_replaced(path: str, secret: str) -> None:
    url = f"http://a.test{path}"
    assert redactor().url(url.replace("~", secret)) == url
    for text, mime in (
        (f'{{"link": "{url}", "next": 2}}', "application/json"),
        (f'{{"link": "{url}", "next": 2}}'.replace("/", r"\/"), "application/json"),
        (json.dumps({"inner": f'{{"link": "{url}"}}'.replace("/", r"\/")}), "application/json"),
        (f'<a href="{url}">Sign in</a>', "text/html"),
        (f"Follow {url} to sign in.", "text/plain"),
    ):
        assert redactor().content(text.replace("~", secret).encode(), mime) == text.encode()


@pytest.mark.parametrize("path", STAYS)
def test_other_segments_stay(path: str) -> None:
    url = f"http://a.test{path}"
    assert redactor().url(url) == url
    assert redactor().content(f'{{"link": "{url}"}}'.encode(), "application/json") == f'{{"link": "{url}"}}'.encode()


def test_the_address_of_a_private_calendar_is_replaced() -> None:
    url = f"http://a.test/calendar/ical/bob%40a.test/private-{HEX}/basic.ics"
    assert redactor().url(url) == url.replace(HEX, "~")
    assert redactor().url(url.replace("private-", "public-")) == url.replace("private-", "public-")
