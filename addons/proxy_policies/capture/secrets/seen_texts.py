"""What was looked through for secrets is not looked through again: the same fields and pages come again and again."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

LIMIT = 4096
"""Texts remembered; the least recently seen is forgotten."""
GROUP_LIMIT = 512
"""Groups of texts remembered, such as the fields of a message."""
GROUP_SIZE = 8192
"""Of a group that is remembered: nginx takes so large fields."""
SHORT = 128
"""What is longer is remembered by its hash."""
CHANGED_MOST = 2048
"""Characters or octets of a text with secrets that is remembered: what is larger is a body."""

type Hide = Callable[[str, str], str]
"""Returns what stands for a secret that was found by a rule."""
type Secrets = list[tuple[str, str]]
"""Secrets, each with the rule by which it was found."""


class SeenTexts:
    """Remembers what became of texts, and which secrets they had: `hide` is called with those each time."""

    def __init__(self, hide: Hide) -> None:
        self._hide = hide
        self._hidden: Secrets | None = None  # in the text that is being looked through
        self._known = _Outcomes(LIMIT)
        self._groups = _Outcomes(GROUP_LIMIT)

    def hide(self, secret: str, rule: str) -> str:
        """Hide a secret. For whoever looks: what is hidden otherwise is not remembered."""
        if self._hidden is not None:
            self._hidden.append((secret, rule))
        return self._hide(secret, rule)

    def through[Text: (str, bytes)](self, kind: str, text: Text, look: Callable[[str, Text], Text]) -> Text:
        """Return what `look(kind, text)` makes of a text."""
        key = (kind, text if len(text) <= SHORT else _digest(text))
        return self._made(self._known, key, text, len(text) <= CHANGED_MOST, lambda: look(kind, text))

    def group[Texts: tuple[Any, ...]](self, texts: Texts, size: int, look: Callable[[Texts], Texts]) -> Texts:
        """Return what `look(texts)` makes of several texts of this size together."""
        if size > GROUP_SIZE:
            return look(texts)
        return self._made(self._groups, texts, texts, True, lambda: look(texts))

    def _made[Value](
        self, outcomes: "_Outcomes", key: Hashable, value: Value, is_short: bool, make: Callable[[], Value]
    ) -> Value:
        if (known := outcomes.get(key)) is None:
            return self._looked(outcomes, key, value, is_short, make)
        replaced, hidden = known
        for secret, rule in hidden:
            self.hide(secret, rule)
        return value if replaced is None else replaced

    def _looked[Value](
        self, outcomes: "_Outcomes", key: Hashable, value: Value, is_short: bool, make: Callable[[], Value]
    ) -> Value:
        around, self._hidden = self._hidden, []
        try:
            replaced = make()
            if replaced == value or is_short:
                outcomes.put(key, None if replaced == value else replaced, self._hidden)
        finally:
            if around is not None:
                around += self._hidden
            self._hidden = around
        return replaced


class _Outcomes:
    """What became of texts, and the secrets that they had, of the latest `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[Hashable, tuple[Any, Secrets]] = OrderedDict()

    def get(self, key: Hashable) -> tuple[Any, Secrets] | None:
        if (known := self._known.get(key)) is not None:
            self._known.move_to_end(key)
        return known

    def put(self, key: Hashable, replaced: Any, hidden: Secrets) -> None:
        self._known[key] = (replaced, hidden)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)


def _digest(text: str | bytes) -> bytes:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return hashlib.sha256(data).digest()
