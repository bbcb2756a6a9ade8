"""Matchers: what a value may be, where it need not be the recorded one."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy_policies.capture.check.change import Change
from proxy_policies.capture.check.matchers import allows, covers, matcher_of, parse_match, suggest

UUID = "550e8400-e29b-41d4-a716-446655440000"


@dataclass(frozen=True)
class Case:
    matcher: str
    old: Any
    new: Any
    passes: bool


CASES = [
    Case("any", 1, {"a": 2}, True),
    Case("type", 1, 2.5, True),
    Case("type", "a", "b", True),
    Case("type", True, 1, False),
    Case("type", [1], {}, False),
    Case("type", None, None, True),
    Case("regex:v[0-9]+", "v1", "v22", True),
    Case("regex:v[0-9]+", "v1", "v22b", False),
    Case("regex:[0-9]+", 1, 22, True),
    Case("regex:.*", "a", None, False),
    Case("iso-date", "x", "2026-11-28", True),
    Case("iso-date", "x", "2026-11-28T10:15:00.5+01:00", True),
    Case("iso-date", "x", "2026-13-28", False),
    Case("iso-date", "x", "yesterday", False),
    Case("uuid", "x", UUID, True),
    Case("uuid", "x", UUID[:-1], False),
    Case("number±0.1", 1, 1.1, True),
    Case("number±0.1", 1, 1.2, False),
    Case("number+-5", "10", "15", True),
    Case("number+/-5", 10, 16, False),
    Case("number±10%", -100, -110, True),
    Case("number±10%", 100, 111, False),
    Case("number±1", True, 1, False),
    Case("number±1", "a", 1, False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.matcher}-{case.new}")
def test_a_value_passes_or_not(case: Case) -> None:
    assert matcher_of(case.matcher)(case.old, case.new) is case.passes


READ = {
    "$.total=number±0.5": ("json:$.total", "number±0.5"),
    "json:$.items[*].at=iso-date": ("json:$.items[*].at", "iso-date"),
    '$["a=b"].c=any': ('json:$["a=b"].c', "any"),
    "$.q=regex:a=[0-9]+": ("json:$.q", "regex:a=[0-9]+"),
    "header:ETag=any": ("header:etag", "any"),
    "cookie:sid=type": ("cookie:sid", "type"),
    "match:$.a=any": ("json:$.a", "any"),
}


@pytest.mark.parametrize(("text", "read"), READ.items(), ids=READ)
def test_a_matcher_for_a_path_is_read(text: str, read: tuple[str, str]) -> None:
    assert parse_match(text) == read


WRONG = {
    "$.total": "write PATH=MATCHER",
    "total=any": "write PATH=MATCHER",
    "$.a=anything": "'anything' is not a matcher; choose one of any, type, iso-date, uuid, regex:PATTERN, number±X",
    "$.a=number±x": "is not a matcher",
    "$.a=regex:(": "'(' is not a valid regular expression",
}


@pytest.mark.parametrize(("text", "why"), WRONG.items(), ids=WRONG)
def test_a_wrong_matcher_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        parse_match(text)


def test_a_matcher_is_for_its_path_and_any_for_what_is_inside() -> None:
    assert covers("json:$.items[*].n", "uuid", Change("json:$.items[3].n", 1, 2))
    assert covers("json:$.items[3].n", "uuid", Change("json:$.items[3].n", 1, 2))
    assert not covers("json:$.items[3].n", "uuid", Change("json:$.items[4].n", 1, 2))
    assert not covers("json:$.a", "uuid", Change("json:$.a.b", 1, 2))
    assert covers("json:$.a", "any", Change("json:$.a.b", 1, 2))
    assert not covers("json:$.a", "any", Change("json:$.ab", 1, 2))


def test_what_is_gone_matches_nothing() -> None:
    assert not allows("json:$.a", "any", Change("json:$.a", 1, None, "removed"))
    assert allows("json:$.a", "any", Change("json:$.a.b", 1, None, "removed"))
    assert allows("cookie:n", "number±1", Change("cookie:n", "n=1; Path=/", "n=2; Path=/"))


SUGGESTED = {
    "number": (Change("json:$.a", 10, 12.5), "json:$.a=number±2.5"),
    "uuid": (Change("json:$.a", UUID, UUID[::-1].replace("-", "")[:8] + UUID[8:]), "json:$.a=uuid"),
    "date": (Change("json:$.a", "2026-11-28", "2026-11-29"), "json:$.a=iso-date"),
    "type": (Change("header:x", "a", "b"), "header:x=type"),
    "any": (Change("json:$.a", "a", None), "json:$.a=any"),
    "gone": (Change("json:$.a", "a", None, "removed"), ""),
    "text": (Change("text:1", "a", "b"), ""),
}


@pytest.mark.parametrize(("change", "text"), SUGGESTED.values(), ids=SUGGESTED)
def test_the_narrowest_matcher_that_passes_is_suggested(change: Change, text: str) -> None:
    assert suggest(change) == text
    if text:
        assert allows(*parse_match(text), change)


def test_a_matcher_of_ones_own_is_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_matcher.py").write_text(
        "def even(argument):\n    return lambda old, new: new % int(argument) == 0\n"
    )
    info = tmp_path / "own_matcher-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-matcher\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[proxy_policies.matchers]\ndivisible = own_matcher:even\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert matcher_of("divisible:5")(1, 10)
    assert not matcher_of("divisible:5")(1, 11)
    with pytest.raises(ValueError, match="number±X, divisible"):
        matcher_of("devisible")
