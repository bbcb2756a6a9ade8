"""Secrets in folded lines: they are replaced, and lines without one stay as they were folded."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_message import MessageRedactor
from proxy_policies.capture.secrets.rules import RedactionRules

S = "Zq7hT4kQ9xZab3Wm1Lp8"
STARTS = {"calendar": "BEGIN:VCALENDAR", "card": "BEGIN:VCARD", "entry": "dn: cn=bob"}
LINES = [
    "URL:https://meet.test/join?token={}&a=b",
    "X-ACCESS-TOKEN;VALUE=TEXT:{}",
    "ATTENDEE;X-TOKEN={};CN=Bob:mailto:bob@a.test",
]
OTHERS = ["SUMMARY:A long line of words that somebody folded", "DTSTART;TZID=Europe/Berlin:20261130T100000", "UID:17"]


def redacted(text: str) -> str:
    redactor = MessageRedactor(Decider(RedactionRules(), lambda *_: "~", is_response=True))
    return redactor.content(text.encode(), "text/plain").decode()


def folded(line: str, at: list[int], fold: str) -> str:
    places = sorted({place % (len(line) - 1) + 1 for place in at})
    return fold.join(line[start:end] for start, end in zip([0, *places], [*places, len(line)], strict=True))


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@given(st.sampled_from(LINES), st.lists(st.integers(0, 99), max_size=3), st.sampled_from(["\r\n ", "\n ", "\r\n\t"]))
def test_a_secret_in_folded_lines_is_replaced(start: str, line: str, at: list[int], fold: str) -> None:
    end = fold[:-1]
    others = [folded(other, at, fold) for other in OTHERS]
    done = redacted(end.join([start, others[0], folded(line.format(S), at, fold), *others[1:], ""]))
    assert done == end.join([start, others[0], line.format("~"), *others[1:], ""])


@given(st.lists(st.sampled_from([*OTHERS, "\n", "\r\n", " ", "\t", "é"]), max_size=12).map("".join))
def test_without_a_secret_nothing_changes(text: str) -> None:
    for start in (*STARTS.values(), ""):
        assert redacted(f"{start}\r\n{text}") == f"{start}\r\n{text}"


def test_other_texts_are_not_unfolded() -> None:
    text = f"a: 1\n token={S[:12]}\n {S[12:]}\n"
    assert re.sub("~", S[:12], redacted(text)) == text
