"""Header rules through the real mitmdump."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin

type Start = Callable[..., Mitmdump]


def rules(*specs: str) -> list[str]:
    return [part for spec in specs for part in ("--set", f"header_rules={spec}")]


def test_rules_act_on_requests_and_responses(mitmdump: Start, origin: Callable[..., Origin], curl: Any) -> None:
    server = origin()
    server.route("/", Answer(404, [("Server", "secret/1.0"), ("X-Twice", "a"), ("X-Twice", "b")], b"gone"))
    proxy = mitmdump(
        *rules(
            "/~q/X-Client/{client_ip} {method} {host} {braces}",
            "/~q & ~m POST/X-Posted/yes",
            "/~q/-User-Agent",
            "//-server",
            "//X-Twice/once",
            "/~c 404/+X-Status/{status}/{cache}",
            "/~c 200/+X-Good/yes",
        ),
        script="headers.py",
    )
    got = curl("-x", proxy.url, f"{server.url}/")
    assert (got.get("Server"), got.get("X-Twice"), got.get("X-Status")) == (None, "once", "404/off")
    assert got.get("X-Good") is None
    request = server.requests[0]
    assert request.get("X-Client") == "127.0.0.1 GET 127.0.0.1 {braces}"
    assert (request.get("X-Posted"), request.get("User-Agent")) == (None, None)
    curl("-x", proxy.url, "-d", "x", f"{server.url}/")
    assert server.requests[1].get("X-Posted") == "yes"


def test_rules_act_on_streamed_bodies_too(mitmdump: Start, origin: Callable[..., Origin], curl: Any) -> None:
    server = origin()
    server.route("/", Answer(body=[b"x" * 100_000] * 20))
    proxy = mitmdump(*rules("//X-Seen/yes", "/~q/X-Seen/yes"), script="headers.py")
    got = curl("-x", proxy.url, f"{server.url}/")
    assert (got.get("X-Seen"), server.requests[0].get("X-Seen"), len(got.body)) == ("yes", "yes", 2_000_000)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("X-Foo", "option header_rules='X-Foo': 'X-Foo' is not a valid rule; write /flow-filter/action"),
        ("//X Foo/y", "'//X Foo/y': 'X Foo' is not a valid field name; write /flow-filter/[+|-]name[/value]"),
        ("//X/a\nb", "a value must not contain CR, LF or NUL"),
        ("/~bogus/X/y", "'~bogus' is not a valid flow filter"),
    ],
)
def test_a_wrong_rule_ends_the_start_with_one_line(mitmdump: Start, spec: str, complaint: str) -> None:
    proxy = mitmdump(*rules(spec), script="headers.py", wait=False)
    assert proxy.wait_exit() == 1
    proxy.wait_log(re.escape(complaint))
    assert "Traceback" not in proxy.log()
