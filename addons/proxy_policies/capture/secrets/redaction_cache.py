"""Cache redacted texts, as the same fields and pages repeat in many exchanges."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

MAX_TEXTS = 4096
"""Maximum number of texts; the least recently used one is dropped."""
MAX_GROUPS = 512
"""Maximum number of groups of texts, such as the notes of an entry, or a small content and its media type."""
MAX_GROUP_SIZE = 8192
"""Maximum size of a group."""
MAX_UNHASHED = 128
"""Maximum size of a text in a key; a longer one is replaced by its hash."""
MAX_CHANGED_SIZE = 2048
"""Maximum size of a text with secrets, in characters or bytes; larger ones are bodies."""
MAX_LONG_TEXTS = 2
"""Maximum number of larger texts with secrets: those of the latest entry, which may be redacted twice."""
MAX_LONG_SIZE = 1 << 20
"""Maximum size of these."""

type Hide = Callable[[str, str], str]
"""Function that returns the placeholder of a secret found by a rule."""
type Secrets = list[tuple[str, str]]
"""Secrets, each with the rule by which it was found."""
type _Redacted = tuple[Any, Secrets]
"""The redacted text, None if it is unchanged, and the secrets found in it."""

_UNCHANGED: _Redacted = (None, [])


class RedactionCache:
    """Caches redacted texts with the secrets found in them, for which `hide` is called each time."""

    def __init__(self, hide: Hide) -> None:
        self._hide = hide
        self._hidden: Secrets | None = None  # in the current text
        self._texts = _Outcomes(MAX_TEXTS)
        self._long_texts = _Outcomes(MAX_LONG_TEXTS)
        self._groups = _Outcomes(MAX_GROUPS)

    def hide(self, secret: str, rule: str) -> str:
        """Return the placeholder of a secret; redacting functions must call this for their secrets to be cached."""
        if self._hidden is not None:
            self._hidden.append((secret, rule))
        return self._hide(secret, rule)

    def redacted[Text: (str, bytes)](self, kind: str, text: Text, redact: Callable[[str, Text], Text]) -> Text:
        """Return `redact(kind, text)`, from the cache if possible."""
        key = (kind, text if len(text) <= MAX_UNHASHED else _digest(text))
        if (outcome := self._texts.get(key) or self._long_texts.get(key)) is not None:
            return self._repeat(text, outcome)
        is_short, is_kept = len(text) <= MAX_CHANGED_SIZE, len(text) <= MAX_LONG_SIZE
        changed = self._texts if is_short else self._long_texts if is_kept else None
        return self._redact_and_store(self._texts, changed, key, text, lambda: redact(kind, text))

    def redacted_group[Texts: tuple[Any, ...]](
        self, texts: Texts, size: int, redact: Callable[[Texts], Texts]
    ) -> Texts:
        """Return `redact(texts)` of texts with this total size, from the cache if possible."""
        if size > MAX_GROUP_SIZE:
            return redact(texts)
        if (outcome := self._groups.get(texts)) is None:
            return self._redact_and_store(self._groups, self._groups, texts, texts, lambda: redact(texts))
        return texts if outcome is _UNCHANGED else self._repeat(texts, outcome)

    def _repeat[Value](self, value: Value, outcome: _Redacted) -> Value:
        replaced, hidden = outcome
        for secret, rule in hidden:
            self.hide(secret, rule)
        return value if replaced is None else replaced

    def _redact_and_store[Value](
        self,
        unchanged: "_Outcomes",
        changed: "_Outcomes | None",
        key: Hashable,
        value: Value,
        redact_value: Callable[[], Value],
    ) -> Value:
        """Store the outcome among those of values that are unchanged or changed by the redaction."""
        outer_hidden, self._hidden = self._hidden, []
        try:
            replaced = redact_value()
            outcomes = unchanged if replaced == value else changed
            if outcomes is not None:
                outcome = (None if replaced == value else replaced, self._hidden)
                outcomes.put(key, outcome if self._hidden or replaced != value else _UNCHANGED)
        finally:
            if outer_hidden is not None:
                outer_hidden += self._hidden
            self._hidden = outer_hidden
        return replaced


class _Outcomes:
    """The outcomes of the latest `limit` texts."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._texts: OrderedDict[Hashable, _Redacted] = OrderedDict()

    def get(self, key: Hashable) -> _Redacted | None:
        if (outcome := self._texts.get(key)) is not None:
            self._texts.move_to_end(key)
        return outcome

    def put(self, key: Hashable, outcome: _Redacted) -> None:
        self._texts[key] = outcome
        if len(self._texts) > self._limit:
            self._texts.popitem(last=False)


def _digest(text: str | bytes) -> bytes:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return hashlib.sha256(data).digest()
