"""What was looked through for secrets is not looked through again: the same fields and pages come again and again."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

LIMIT = 4096
"""Texts remembered; the least recently seen is forgotten."""
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
        self._known: OrderedDict[tuple[str, str | bytes], tuple[Any, Secrets]] = OrderedDict()

    def hide(self, secret: str, rule: str) -> str:
        """Hide a secret. For whoever looks: what is hidden otherwise is not remembered."""
        if self._hidden is not None:
            self._hidden.append((secret, rule))
        return self._hide(secret, rule)

    def through[Text: (str, bytes)](self, kind: str, text: Text, look: Callable[[str, Text], Text]) -> Text:
        """Return what `look(kind, text)` makes of a text."""
        key = (kind, text if len(text) <= SHORT else _digest(text))
        if (known := self._known.get(key)) is None:
            return self._looked(key, text, look)
        self._known.move_to_end(key)
        replaced: Text | None
        replaced, hidden = known
        for secret, rule in hidden:
            self.hide(secret, rule)
        return text if replaced is None else replaced

    def _looked[Text: (str, bytes)](
        self, key: tuple[str, str | bytes], text: Text, look: Callable[[str, Text], Text]
    ) -> Text:
        around, self._hidden = self._hidden, []
        try:
            replaced = look(key[0], text)
            if replaced == text or len(text) <= CHANGED_MOST:
                self._remember(key, None if replaced == text else replaced, self._hidden)
        finally:
            if around is not None:
                around += self._hidden
            self._hidden = around
        return replaced

    def _remember(self, key: tuple[str, str | bytes], replaced: str | bytes | None, hidden: Secrets) -> None:
        self._known[key] = (replaced, hidden)
        if len(self._known) > LIMIT:
            self._known.popitem(last=False)


def _digest(text: str | bytes) -> bytes:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return hashlib.sha256(data).digest()
