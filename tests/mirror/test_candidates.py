"""Which requests are copied, and what of them."""

import pytest

from proxy_policies.capture.model import Body, Headers, Request
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules
from proxy_policies.mirror.addon import parse_methods
from proxy_policies.mirror.candidates import (
    MARK,
    SAFE,
    Share,
    as_copy,
    is_copied,
    parse_share,
    parse_target,
    without_secret_fields,
)

SHARES = {1.0: 10, 0.5: 5, 0.1: 1, 0.3: 3, 0.0: 0}


@pytest.mark.parametrize(("share", "taken"), SHARES.items())
def test_a_share_is_exact(share: float, taken: int) -> None:
    chooser = Share(share)
    assert sum(chooser.takes() for _ in range(10)) == taken


def test_safe_requests_of_others_are_copied() -> None:
    assert is_copied("GET", (), SAFE)
    assert not is_copied("POST", (), SAFE)
    assert is_copied("POST", (), ("POST",))
    assert not is_copied("GET", (("upgrade", "websocket"),), SAFE)
    copy = as_copy(Request("GET", "http://a.test/", (("If-None-Match", '"a"'), ("X", "1"))), "us")
    assert copy.headers == (("X", "1"), (MARK, "us"))
    assert not is_copied("GET", copy.headers, SAFE), "a copy that comes back to us is not copied again"


def stripped(headers: Headers = (), url: str = "http://a.test/x", body: bytes = b"", *rules: str) -> Request | None:
    redactor = Redactor(parse_rules(rules), Placeholders(b"k" * 32))
    return without_secret_fields(Request("POST", url, headers, Body(body)), redactor)


def test_credentials_stay_here() -> None:
    headers = (
        ("Accept", "*/*"),
        ("Authorization", "Basic eDp5"),
        ("cookie", "theme=dark"),
        ("X-Api-Key", "Zq7hunter2Q9xZ4711abcd"),
        ("X-Mine", "anything"),
    )
    request = stripped(headers, "http://a.test/x", b"", "header:x-mine")
    assert request is not None
    assert request.headers == (("Accept", "*/*"),)
    assert stripped(url="http://a.test/x?token=Zq7hunter2Q9xZ4711abcd") is None
    assert stripped(body=b'{"password": "Zq7hunter2-Q9xZ"}') is None


@pytest.mark.parametrize("text", ["2", "-0.1", "half", "nan", ""])
def test_a_wrong_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a share from 0 to 1"):
        parse_share(text)


@pytest.mark.parametrize(
    "text", ["a.test", "ftp://a.test", "http://", "http://a:b@c.test", "http://a.test/?x", "http://a:x"]
)
def test_a_wrong_target_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a URL such as"):
        parse_target(text)


def test_targets() -> None:
    assert parse_target("http://127.0.0.1:9001/") == "http://127.0.0.1:9001"
    assert parse_target("https://a.test/base/") == "https://a.test/base"
    assert parse_target("") == ""


def test_each_method_is_a_single_one() -> None:
    assert parse_methods([" post "]) == ("POST",)
    for methods in (["GET,POST"], ["GET", "PUT DELETE"], [""]):
        with pytest.raises(ValueError, match="must have a single name; repeat the option for each"):
            parse_methods(methods)
