"""Secrets in texts are replaced where they stand, and every other character is as it was."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.secrets import redact_lines, redact_text
from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.rules import parse_rules

S = "Wz-zbpjD-jMLZkbxrVhyYQ"
RULES = parse_rules(())


def hidden(secret: str, _: str) -> str:
    return "~" if secret == S else f"<{secret}>"


HIDING = Decider(RULES, hidden, is_response=False)
KEEPING = Decider(RULES, lambda secret, _: secret, is_response=False)

PARTS: dict[str, Callable[[str, Decider], str]] = {
    "url": redact_text.in_url,
    "form": redact_text.in_form,
    "cookie": redact_text.in_cookies,
    "set-cookie": redact_text.in_set_cookie,
    "lines": redact_text.in_lines,
    "script": lambda text, decider: redact_text.in_assignments(text, decider, Place.CODE),
    "graphql": lambda text, decider: redact_text.in_assignments(text, decider, Place.MEMBER),
    "plain": redact_lines.in_named_lines,
}
PIECES = [
    *("password", "token", "Authorization", "authorization: ", "Bearer ", "Basic ", "Cookie: ", "set-cookie: ", "İ"),
    *("=", ":", " = ", '"', "'", "\\", '\\"', "`", "&", ";", "; ", "?", "#", "%", "%26", "%3D", "%253D", "{", "}", "["),
    *("http://", "@", "/", "/reset-password/", "\n", "\r\n", "<", ">", ",", " ", "+", "ü", "a", "1", S, "hunter2-Q9xZ"),
    *('{"token":"x1y2z3w4"}', "%7B%22token%22%3A%22x1y2z3w4%22%7D", "%7b%22pin%22:%22x1y2%22%7d"),
]


@pytest.mark.parametrize("replace", PARTS.values(), ids=PARTS)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_what_is_replaced_by_itself_leaves_the_text_as_it_was(
    replace: Callable[[str, Decider], str], text: str
) -> None:
    assert replace(text, KEEPING) == text


TEXTS = {
    "userinfo": ("url", "http://joe:S@a.test/", "http://joe:~@a.test/"),
    "userinfo that is a token": ("url", "https://S@a.test/x", "https://~@a.test/x"),
    "token and a word": ("url", "https://S:x-oauth-basic@a.test/", "https://~:x-oauth-basic@a.test/"),
    "a mail address": ("url", "mailto:joe@a.test", "mailto:joe@a.test"),
    "query and fragment": ("url", "/x?token=S&page=2#id_token=S&b", "/x?token=~&page=2#id_token=~&b"),
    "of a path": ("url", "/reset-password/S?x=1", "/reset-password/~?x=1"),
    "a webhook": ("url", "/hooks/T0123/B4567/S", "/hooks/T0123/B4567/~"),
    "after a user": ("url", "/reset-password/42/S", "/reset-password/42/~"),
    "a path without one": ("url", "/session-settings/of-all-the-users", "/session-settings/of-all-the-users"),
    "a URL in a URL": ("url", "/login?next=%2Fx%3Ftoken%3DS%26a%3D1", "/login?next=%2Fx%3Ftoken%3D~%26a%3D1"),
    "percent-encoded": ("url", "/?password=a%20b+c&q=a+b", "/?password=%3Ca%20b%20c%3E&q=a+b"),
    "form": ("form", "a=b%20c&password=S&d&=e", "a=b%20c&password=~&d&=e"),
    "form on a line": ("form", "a=b&password=S\r\n", "a=b&password=~\r\n"),
    "a pair in a form": ("form", "q=a+token%3DS+b&n=1", "q=a+token%3D~+b&n=1"),
    "a pair encoded twice": ("url", "/?q=token%253DS&n=1", "/?q=token%253D~&n=1"),
    "encoded thousands of times": ("url", f"/?q=%{'25' * 4000}3Dtoken", f"/?q=%{'25' * 4000}3Dtoken"),
    "a query of GraphQL": ("url", "/x?query=%7Blogin(token:%22S%22)%7D", "/x?query=%7Blogin(token:%22~%22)%7D"),
    "a percent sign": ("url", "/x?q=%token%&t=S", "/x?q=%token%&t=S"),
    "JSON in a form": ("form", 'data={"token":"S","n":1}', 'data={"token":"~","n":1}'),
    "encoded JSON": ("form", "data=%7B%22token%22%3A%22S%22%7D", "data=%7B%22token%22%3A%22~%22%7D"),
    "cookies": ("cookie", "theme=dark; sid=S;x=S; S", "theme=dark; sid=~;x=~; ~"),
    "a quoted cookie": ("cookie", 'sid="S"', 'sid="~"'),
    "attributes": ("set-cookie", "sid=S; Path=/; HttpOnly", "sid=~; Path=/; HttpOnly"),
    "a link in a cookie": ("cookie", "next=/x?pin=1234&a=b", "next=/x?pin=%3C1234%3E&a=b"),
    "credentials": ("lines", "> Authorization: Bearer S\n> Accept: */*", "> Authorization: Bearer ~\n> Accept: */*"),
    "credentials in a script": ("lines", """{"Authorization": "Bearer S"}""", """{"Authorization": "Bearer ~"}"""),
    "bearer": ("lines", "the Bearer S is not valid", "the Bearer ~ is not valid"),
    "bearer of news": ("lines", "the Bearer newspaper is late", "the Bearer newspaper is late"),
    "cookie lines": ("lines", "Set-Cookie: sid=S; Path=/\nCookie: a=S", "Set-Cookie: sid=~; Path=/\nCookie: a=~"),
    "script": ("script", "const csrfToken = 'S', name = 'x'", "const csrfToken = '~', name = 'x'"),
    "template": ("script", "let apiKey=`S`", "let apiKey=`~`"),
    "escaped": ("script", r"""x = "<a token=\"S\" b=\"c\">";""", r"""x = "<a token=\"~\" b=\"c\">";"""),
    "a word in a script": ("script", "password = 'summer'", "password = 'summer'"),
    "graphql": ("graphql", 'login(user: "joe", password: "summer")', 'login(user: "joe", password: "<summer>")'),
    "a quote that does not end": ("graphql", 'password: "summer\n"', 'password: "summer\n"'),
    "plain": ("plain", "user=joe password=S, done", "user=joe password=~, done"),
    "a call": ("plain", "token=make(1)", "token=make(1)"),
    "header lines": ("plain", "X-Api-Key: S\nDate: today", "X-Api-Key: ~\nDate: today"),
}


@pytest.mark.parametrize(("kind", "before", "after"), TEXTS.values(), ids=TEXTS)
def test_a_secret_is_replaced_where_it_stands(kind: str, before: str, after: str) -> None:
    assert PARTS[kind](before.replace("S", S) if S not in before else before, HIDING).replace(S, "S") == after


FORMS = {"a=1&b=": True, "a%5B0%5D=x+y": True, "a=1\n": True, "a": False, "a=<b>": False, '{"a": "b=c"}': False}


@pytest.mark.parametrize(("text", "expected"), FORMS.items(), ids=FORMS)
def test_a_form_is_known_by_its_looks(text: str, expected: bool) -> None:
    assert redact_text.is_form(text) is expected
