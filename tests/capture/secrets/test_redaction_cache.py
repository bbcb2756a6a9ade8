"""Texts are looked through once, and their secrets are hidden each time."""

import pytest

from proxy_policies.capture.secrets import redaction_cache
from proxy_policies.capture.secrets.redaction_cache import (
    MAX_CHANGED_SIZE,
    MAX_GROUP_SIZE,
    MAX_GROUPS,
    MAX_TEXTS,
    RedactionCache,
)


def hide(secret: str, rule: str) -> str:
    return "x"


@pytest.mark.parametrize("text", ["plain", "plain " * 100, "\ud800" * 200, ""])
def test_what_is_clean_is_looked_at_once_for_each_kind(text: str) -> None:
    seen: list[tuple[str, str]] = []

    def redact(kind: str, text: str) -> str:
        seen.append((kind, text))
        return text

    cache = RedactionCache(hide)
    for kind in ("a", "b", "a", "b"):
        assert cache.redacted(kind, text, redact) == text
    assert seen == [("a", text), ("b", text)]


def test_secrets_are_hidden_each_time() -> None:
    told: list[tuple[str, str]] = []

    def note(secret: str, rule: str) -> str:
        told.append((secret, rule))
        return "x"

    looked: list[str] = []
    cache = RedactionCache(note)

    def redact(kind: str, text: str) -> str:
        looked.append(text)
        return text.replace("hunter2", cache.hide("hunter2", kind))

    def outer(kind: str, text: str) -> str:
        return f"[{cache.redacted('inner', text, redact)}{cache.hide('other', kind)}]"

    for times in (1, 2):
        assert cache.redacted("outer", "a hunter2", outer) == "[a xx]"
        assert told == [("hunter2", "inner"), ("other", "outer")] * times
    cache.redacted("inner", "a hunter2", redact)
    assert told[-1] == ("hunter2", "inner")
    assert looked == ["a hunter2"]


def test_few_large_texts_with_secrets_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction_cache, "MAX_LONG_SIZE", MAX_CHANGED_SIZE + 3)
    cache = RedactionCache(hide)
    looked: list[int] = []

    def redact(kind: str, text: bytes) -> bytes:
        looked.append(len(text) - MAX_CHANGED_SIZE)
        return b"y"

    for more in (0, 1, 2, 0, 1, 2, 3, 1, 4, 4):
        assert cache.redacted("a", b"x" * (MAX_CHANGED_SIZE + more), redact) == b"y"
    assert looked == [0, 1, 2, 3, 1, 4, 4]  # the third takes the place of the first long one


def test_what_could_not_be_looked_through_is_not_taken_for_seen() -> None:
    cache = RedactionCache(hide)

    def fail(kind: str, text: str) -> str:
        cache.hide("hunter2", kind)
        raise RecursionError

    with pytest.raises(RecursionError):
        cache.redacted("a", "text", fail)
    assert cache.redacted("a", "text", lambda kind, text: "replaced") == "replaced"


def test_texts_alike_but_for_their_end_are_told_apart() -> None:
    cache = RedactionCache(hide)
    cache.redacted("a", b"x" * 5000, lambda kind, text: text)
    assert cache.redacted("a", b"x" * 5000 + b"secret", lambda kind, text: b"gone") == b"gone"


def test_only_the_latest_are_remembered() -> None:
    cache = RedactionCache(hide)
    seen: list[str] = []

    def redact(kind: str, text: str) -> str:
        seen.append(text)
        return text

    for number in range(MAX_TEXTS + 1):
        cache.redacted("a", str(number), redact)
    cache.redacted("a", str(MAX_TEXTS), redact)
    assert len(seen) == MAX_TEXTS + 1
    cache.redacted("a", "0", redact)
    assert seen[-1] == "0"


def test_the_secrets_of_a_group_are_hidden_each_time() -> None:
    told: list[tuple[str, str]] = []

    def note(secret: str, rule: str) -> str:
        told.append((secret, rule))
        return "x"

    cache = RedactionCache(note)
    looked: list[tuple[str, ...]] = []

    def redact(texts: tuple[str, ...]) -> tuple[str, ...]:
        looked.append(texts)
        return tuple(cache.redacted("a", text, lambda kind, text: cache.hide(text, kind)) for text in texts)

    texts: tuple[str, ...] = ("b", "c")
    for times in (1, 2):
        assert cache.redacted_group(texts, 2, redact) == ("x", "x")
        assert told == [("b", "a"), ("c", "a")] * times
    assert looked == [("b", "c")]


def test_of_groups_only_the_latest_small_ones_are_remembered() -> None:
    cache = RedactionCache(hide)
    looked: list[tuple[str, ...]] = []

    def redact(texts: tuple[str, ...]) -> tuple[str, ...]:
        looked.append(texts)
        return texts

    for number in (*range(MAX_GROUPS + 1), MAX_GROUPS, 0):
        texts: tuple[str, ...] = (str(number),)
        cache.redacted_group(texts, 1, redact)
    assert [int(text) for (text,) in looked] == [*range(MAX_GROUPS + 1), 0]
    large: tuple[str, ...] = ("large",)
    for _ in range(2):
        cache.redacted_group(large, MAX_GROUP_SIZE + 1, redact)
    assert looked[-2:] == [("large",)] * 2
