"""Secrets in strings with their length: they are replaced, and the length is that of the placeholder."""

import pytest

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_lengths import in_lengths, in_resp, is_bencode
from proxy_policies.capture.secrets.rules import parse_rules

DECIDER = Decider(parse_rules(()), lambda secret, rule: "secret", is_response=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a:1:{s:8:"password";s:7:"hunter2";}', 'a:1:{s:8:"password";s:6:"secret";}'),
        ('s:11:"\0A\0password";s:8:"Söß "1";b:1;', 's:11:"\0A\0password";s:6:"secret";b:1;'),
        ('city|s:4:"Bonn";password|s:7:"hunter2";', 'city|s:4:"Bonn";password|s:6:"secret";'),
        ("d8:password7:hunter24:user3:bobe", "d8:password6:secret4:user3:bobe"),
        ("d4:port8:100000018:password7:hunter2e", "d4:port8:100000018:password6:secrete"),
        ("d8:password7:hunt", "d8:password6:secret"),  # cut
        ('s:8:"password";s:9:"hunter2";', None),  # another length
        ('s:15:"password_policy";s:6:"strict";', None),
        ('s:8:"password";N;s:4:"city";s:4:"Bonn";', None),
        ("the password 12: hunter2", None),
    ],
)
def test_strings_after_secret_names_are_replaced(text: str, expected: str | None) -> None:
    assert in_lengths(text, DECIDER) == (text if expected is None else expected)


def as_resp(*words: str, end: str = "\r\n") -> str:
    return f"*{len(words)}{end}" + "".join(f"${len(word)}{end}{word}{end}" for word in words)


@pytest.mark.parametrize("end", ["\r\n", "\\r\\n"], ids=["lines", "in a string"])
def test_commands_of_redis_are_searched(end: str) -> None:
    for words in (["AUTH"], ["auth"], ["AUTH", "bob"], ["HELLO", "3", "AUTH", "default"]):
        get = as_resp("GET", "AUTH", end=end)
        assert in_resp(as_resp(*words, "hunter2", end=end) + get, DECIDER) == as_resp(*words, "secret", end=end) + get
    named = as_resp("HELLO", "3", "AUTH", "bob", "hunter2", "SETNAME", "x", end=end)
    assert in_resp(named, DECIDER) == as_resp("HELLO", "3", "AUTH", "bob", "secret", "SETNAME", "x", end=end)
    for text in (as_resp("SET", "AUTH", "hunter2", end=end), as_resp("PING", end=end), "AUTH\r\n$1"):
        assert in_resp(text, DECIDER) == text


@pytest.mark.parametrize(
    ("text", "expected"), [("d4:port2:80e", True), ("l1:ae", True), ("d1: a list", False), ("", False)]
)
def test_bencode_is_recognised(text: str, expected: bool) -> None:
    assert is_bencode(text) is expected
