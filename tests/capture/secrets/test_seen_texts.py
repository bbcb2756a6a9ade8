"""Texts are looked through once, and their secrets are hidden each time."""

import pytest

from proxy_policies.capture.secrets.seen_texts import CHANGED_MOST, GROUP_LIMIT, GROUP_SIZE, LIMIT, SeenTexts


def hide(secret: str, rule: str) -> str:
    return "x"


@pytest.mark.parametrize("text", ["plain", "plain " * 100, "\ud800" * 200, ""])
def test_what_is_clean_is_looked_at_once_for_each_kind(text: str) -> None:
    seen: list[tuple[str, str]] = []

    def look(kind: str, text: str) -> str:
        seen.append((kind, text))
        return text

    seen_texts = SeenTexts(hide)
    for kind in ("a", "b", "a", "b"):
        assert seen_texts.through(kind, text, look) == text
    assert seen == [("a", text), ("b", text)]


def test_secrets_are_hidden_each_time() -> None:
    told: list[tuple[str, str]] = []

    def note(secret: str, rule: str) -> str:
        told.append((secret, rule))
        return "x"

    looked: list[str] = []
    seen_texts = SeenTexts(note)

    def look(kind: str, text: str) -> str:
        looked.append(text)
        return text.replace("hunter2", seen_texts.hide("hunter2", kind))

    def outer(kind: str, text: str) -> str:
        return f"[{seen_texts.through('inner', text, look)}{seen_texts.hide('other', kind)}]"

    for times in (1, 2):
        assert seen_texts.through("outer", "a hunter2", outer) == "[a xx]"
        assert told == [("hunter2", "inner"), ("other", "outer")] * times
    seen_texts.through("inner", "a hunter2", look)
    assert told[-1] == ("hunter2", "inner")
    assert looked == ["a hunter2"]


def test_a_large_text_with_secrets_is_not_kept() -> None:
    seen_texts = SeenTexts(hide)
    looked: list[bytes] = []

    def look(kind: str, text: bytes) -> bytes:
        looked.append(text)
        return b"y"

    for size in (CHANGED_MOST, CHANGED_MOST + 1) * 2:
        assert seen_texts.through("a", b"x" * size, look) == b"y"
    assert [len(text) for text in looked] == [CHANGED_MOST, CHANGED_MOST + 1, CHANGED_MOST + 1]


def test_what_could_not_be_looked_through_is_not_taken_for_seen() -> None:
    seen_texts = SeenTexts(hide)

    def fail(kind: str, text: str) -> str:
        seen_texts.hide("hunter2", kind)
        raise RecursionError

    with pytest.raises(RecursionError):
        seen_texts.through("a", "text", fail)
    assert seen_texts.through("a", "text", lambda kind, text: "replaced") == "replaced"


def test_texts_alike_but_for_their_end_are_told_apart() -> None:
    seen_texts = SeenTexts(hide)
    seen_texts.through("a", b"x" * 5000, lambda kind, text: text)
    assert seen_texts.through("a", b"x" * 5000 + b"secret", lambda kind, text: b"gone") == b"gone"


def test_only_the_latest_are_remembered() -> None:
    seen_texts = SeenTexts(hide)
    seen: list[str] = []

    def look(kind: str, text: str) -> str:
        seen.append(text)
        return text

    for number in range(LIMIT + 1):
        seen_texts.through("a", str(number), look)
    seen_texts.through("a", str(LIMIT), look)
    assert len(seen) == LIMIT + 1
    seen_texts.through("a", "0", look)
    assert seen[-1] == "0"


def test_the_secrets_of_a_group_are_hidden_each_time() -> None:
    told: list[tuple[str, str]] = []

    def note(secret: str, rule: str) -> str:
        told.append((secret, rule))
        return "x"

    seen_texts = SeenTexts(note)
    looked: list[tuple[str, ...]] = []

    def look(texts: tuple[str, ...]) -> tuple[str, ...]:
        looked.append(texts)
        return tuple(seen_texts.through("a", text, lambda kind, text: seen_texts.hide(text, kind)) for text in texts)

    group: tuple[str, ...] = ("b", "c")
    for times in (1, 2):
        assert seen_texts.group(group, 2, look) == ("x", "x")
        assert told == [("b", "a"), ("c", "a")] * times
    assert looked == [("b", "c")]


def test_of_groups_only_the_latest_small_ones_are_remembered() -> None:
    seen_texts = SeenTexts(hide)
    looked: list[tuple[str, ...]] = []

    def look(texts: tuple[str, ...]) -> tuple[str, ...]:
        looked.append(texts)
        return texts

    for number in (*range(GROUP_LIMIT + 1), GROUP_LIMIT, 0):
        group: tuple[str, ...] = (str(number),)
        seen_texts.group(group, 1, look)
    assert [int(text) for (text,) in looked] == [*range(GROUP_LIMIT + 1), 0]
    large: tuple[str, ...] = ("large",)
    for _ in range(2):
        seen_texts.group(large, GROUP_SIZE + 1, look)
    assert looked[-2:] == [("large",)] * 2
