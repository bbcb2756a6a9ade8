"""Texts without secrets are looked through once, those with secrets each time."""

import pytest

from proxy_policies.capture.secrets.clean_texts import LIMIT, CleanTexts


@pytest.mark.parametrize("text", ["plain", "plain " * 100, "\ud800" * 200, ""])
def test_what_is_clean_is_looked_at_once_for_each_kind(text: str) -> None:
    seen: list[tuple[str, str]] = []

    def look(kind: str, text: str) -> str:
        seen.append((kind, text))
        return text

    clean: CleanTexts[str] = CleanTexts()
    for kind in ("a", "b", "a", "b"):
        assert clean.through(kind, text, look) == text
    assert seen == [("a", text), ("b", text)]


@pytest.mark.parametrize("text", ["hunter2", "hunter2 " * 100])
def test_what_has_a_secret_is_looked_at_each_time(text: str) -> None:
    seen: list[str] = []

    def look(kind: str, text: str) -> str:
        seen.append(text)
        return text.replace("hunter2", "x")

    clean: CleanTexts[str] = CleanTexts()
    for _ in range(3):
        assert clean.through("a", text, look) == text.replace("hunter2", "x")
    assert seen == [text] * 3


def test_texts_alike_but_for_their_end_are_told_apart() -> None:
    clean: CleanTexts[bytes] = CleanTexts()
    clean.through("a", b"x" * 5000, lambda kind, text: text)
    assert clean.through("a", b"x" * 5000 + b"secret", lambda kind, text: b"gone") == b"gone"


def test_only_the_latest_are_remembered() -> None:
    clean: CleanTexts[str] = CleanTexts()
    seen: list[str] = []

    def look(kind: str, text: str) -> str:
        seen.append(text)
        return text

    for number in range(LIMIT + 1):
        clean.through("a", str(number), look)
    clean.through("a", str(LIMIT), look)
    assert len(seen) == LIMIT + 1
    clean.through("a", "0", look)
    assert seen[-1] == "0"
