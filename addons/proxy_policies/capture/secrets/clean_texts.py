"""What was looked through for secrets and has none: the same fields, and often the same pages, come again and again."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

LIMIT = 4096
"""Texts remembered; the least recently seen is forgotten."""
SHORT = 128
"""What is longer is remembered by its hash."""


class CleanTexts[Text: (str, bytes)]:
    """Remembers texts in which nothing was found. Of what has a secret in it nothing is remembered."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str | bytes], None] = OrderedDict()

    def through(self, kind: str, text: Text, look: Callable[[str, Text], Text]) -> Text:
        """Return what `look(kind, text)` makes of a text; it is not asked again where it has changed nothing."""
        key = (kind, text if len(text) <= SHORT else _digest(text))
        if key in self._known:
            self._known.move_to_end(key)
            return text
        replaced = look(kind, text)
        if replaced == text:
            self._known[key] = None
            if len(self._known) > LIMIT:
                self._known.popitem(last=False)
        return replaced


def _digest(text: str | bytes) -> bytes:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return hashlib.sha256(data).digest()
