"""What was looked through for secrets is not looked through again: the same fields and pages come again and again."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

MAX_TEXTS = 4096
"""Texts remembered; the least recently seen is forgotten."""
MAX_GROUPS = 512
"""Groups of texts remembered, such as the fields of a message."""
MAX_GROUP_SIZE = 8192
"""Of a group that is remembered: nginx takes so large fields."""
MAX_UNHASHED = 128
"""What is longer is remembered by its hash."""
MAX_CHANGED_SIZE = 2048
"""Characters or octets of a text with secrets that is remembered: what is larger is a body."""

type Hide = Callable[[str, str], str]
"""Returns what stands for a secret that was found by a rule."""
type Secrets = list[tuple[str, str]]
"""Secrets, each with the rule by which it was found."""


class RedactionCache:
    """Remembers what became of texts, and which secrets they had: `hide` is called with those each time."""

    def __init__(self, hide: Hide) -> None:
        self._hide = hide
        self._hidden: Secrets | None = None  # in the text that is being looked through
        self._texts = _Outcomes(MAX_TEXTS)
        self._groups = _Outcomes(MAX_GROUPS)

    def hide(self, secret: str, rule: str) -> str:
        """Hide a secret. For whoever looks: what is hidden otherwise is not remembered."""
        if self._hidden is not None:
            self._hidden.append((secret, rule))
        return self._hide(secret, rule)

    def redacted[Text: (str, bytes)](self, kind: str, text: Text, redact: Callable[[str, Text], Text]) -> Text:
        """Return what `look(kind, text)` makes of a text."""
        key = (kind, text if len(text) <= MAX_UNHASHED else _digest(text))
        return self._cached(self._texts, key, text, len(text) <= MAX_CHANGED_SIZE, lambda: redact(kind, text))

    def redacted_group[Texts: tuple[Any, ...]](
        self, texts: Texts, size: int, redact: Callable[[Texts], Texts]
    ) -> Texts:
        """Return what `look(texts)` makes of several texts of this size together."""
        if size > MAX_GROUP_SIZE:
            return redact(texts)
        return self._cached(self._groups, texts, texts, True, lambda: redact(texts))

    def _cached[Value](
        self, outcomes: "_Outcomes", key: Hashable, value: Value, is_short: bool, redact_value: Callable[[], Value]
    ) -> Value:
        if (known := outcomes.get(key)) is None:
            return self._redact_and_store(outcomes, key, value, is_short, redact_value)
        replaced, hidden = known
        for secret, rule in hidden:
            self.hide(secret, rule)
        return value if replaced is None else replaced

    def _redact_and_store[Value](
        self, outcomes: "_Outcomes", key: Hashable, value: Value, is_short: bool, redact_value: Callable[[], Value]
    ) -> Value:
        outer_hidden, self._hidden = self._hidden, []
        try:
            replaced = redact_value()
            if replaced == value or is_short:
                outcomes.put(key, None if replaced == value else replaced, self._hidden)
        finally:
            if outer_hidden is not None:
                outer_hidden += self._hidden
            self._hidden = outer_hidden
        return replaced


class _Outcomes:
    """What became of texts, and the secrets that they had, of the latest `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._texts: OrderedDict[Hashable, tuple[Any, Secrets]] = OrderedDict()

    def get(self, key: Hashable) -> tuple[Any, Secrets] | None:
        if (known := self._texts.get(key)) is not None:
            self._texts.move_to_end(key)
        return known

    def put(self, key: Hashable, replaced: Any, hidden: Secrets) -> None:
        self._texts[key] = (replaced, hidden)
        if len(self._texts) > self._limit:
            self._texts.popitem(last=False)


def _digest(text: str | bytes) -> bytes:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return hashlib.sha256(data).digest()
