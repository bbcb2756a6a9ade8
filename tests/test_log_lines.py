"""Log lines that a peer can cause."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.log_lines import (
    MAX_CLIENT_LINE,
    Throttle,
    Throttles,
    admit_client_line,
    printable,
    printable_json,
    quantity,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text, ümläuts, 漢字", "plain text, ümläuts, 漢字"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J\x7f", "\\x9b2J\\x7f"),
        ("one\r\ntwo\ttabs", "one\\x0d\\x0atwo\\x09tabs"),
        ("a\u202eb\u2066c\u200f", "a\\u202eb\\u2066c\\u200f"),
        ("a\u200bb\xad\ufeff\u2060\u3164", "a\\u200bb\\xad\\ufeff\\u2060\\u3164"),
        ("a\U000e0041", "a\\U000e0041"),
        ("\u2764\ufe0f", "\u2764\ufe0f"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_a_terminal_might_obey_is_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "line", "0 lines"),
        (1, "line", "1 line"),
        (2, "line", "2 lines"),
        (1, "entry", "1 entry"),
        (1, "byte", "1 byte"),
        (3, "entry", "3 entries"),
    ],
)
def test_a_number_has_its_noun(count: int, noun: str, text: str) -> None:
    assert quantity(count, noun) == text


def test_lines_may_stay() -> None:
    assert printable("one\n\ttwo\r\x1b", lines=True) == "one\n\ttwo\\x0d\\x1b"


@given(st.text())
def test_nothing_is_left_to_obey(text: str) -> None:
    escaped = printable(text)
    assert printable(escaped) == escaped
    assert all(ord(char) >= 32 and not 0x7F <= ord(char) < 0xA0 for char in escaped)


def test_json_says_the_same_with_nothing_to_obey() -> None:
    document = {"é\u202e": ["\x9b2J", "\x1b[2J", "\U0001bca0\ud800", "a\nb"]}
    for text in (json.dumps(document, ensure_ascii=False, indent=1), json.dumps(document)):
        assert json.loads(printable_json(text)) == document
        assert printable(printable_json(text), lines=True) == printable_json(text)


def test_one_line_in_a_while_with_a_count_of_the_others() -> None:
    throttle = Throttle(interval=10)
    assert throttle.admit("refused", 0) == "refused"
    assert [throttle.admit("refused", now) for now in (1, 2, 9.9)] == [None] * 3
    assert throttle.admit("refused", 10) == "refused (and 3 more like this)"
    assert throttle.admit("refused", 30) == "refused"


def test_a_few_lines_at_once() -> None:
    throttle = Throttle(interval=10, burst=2)
    assert [throttle.admit("came", now) for now in (0, 1, 2, 9)] == ["came", "came", None, None]
    assert [throttle.admit("came", now) for now in (10, 11, 12)] == ["came (and 2 more like this)", "came", None]


def test_a_client_causes_one_line_of_a_kind_a_second() -> None:
    """Kinds do not share their second; what is not known to be frequent is always logged."""
    slow, failed = "closing connection: no request for 1 s", "Client TLS handshake failed. Why"
    assert [admit_client_line(line, 1e9) for line in (slow, slow, slow, failed)] == [slow, None, None, failed]
    assert admit_client_line(slow, 1e9 + 1) == f"{slow} (and 2 more like this)"
    assert [admit_client_line("client connect", 1e9) for _ in range(3)] == ["client connect"] * 3


def test_a_line_quotes_only_the_beginning_of_what_a_client_sent() -> None:
    line = "Client closed connection before completing request headers: "
    assert admit_client_line(line + 10**6 * "x", 1e9) == (line + 10**6 * "x")[:MAX_CLIENT_LINE] + "…"


def test_what_happens_often_is_said_seldom_each_kind_by_itself() -> None:
    throttles = Throttles(interval=10, max_kinds=2)
    said = [throttles.admit("a", "x", now) for now in (100, 101, 109, 110, 111, 121, 140)]
    assert said == ["x", None, None, "x (and 2 more like this)", None, "x (and 1 more like this)", "x"]
    assert throttles.admit("b", "y", 141) == "y"


def test_a_traceback_keeps_its_last_line() -> None:
    said = admit_client_line(
        "\n".join(["the exchange has failed:", *["a frame"] * 500, "x" * 5000, "ValueError: broken"]), 0.0
    )
    assert said is not None
    *_, cut, last = said.split("\n")
    assert (last, len(cut)) == ("ValueError: broken", MAX_CLIENT_LINE + 1)
