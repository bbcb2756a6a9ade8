"""What a test wants of its capture: by the command line, the marker, `http_capture_config`, and the ini file."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from proxy_policies.capture.runner.session_proxy import Wanted

RECORD_MODES = {
    "auto": "auto",
    "replay": "replay",
    "new": "new",
    "record": "record",
    "once": "auto",
    "none": "replay",
    "new_episodes": "new",
    "all": "record",
    "rewrite": "record",
}
"""Ours, and what vcrpy and pytest-recording call them."""
REPLAY_MODES = ("once", "loop", "new", "strict")
LISTS = ("ignore", "redact", "set")
SWITCHES = ("exact", "record_on_exception")
WORDS = ("path", "mode", "record_mode", *LISTS, *SWITCHES)
"""What the marker and the fixture `http_capture_config` take; the ini file has them as `http_capture_NAME`."""


def wanted(chosen: str | None, *layers: Mapping[str, Any]) -> Wanted:
    """Return what the layers say together, the first before the others; lists are added up. Raises ValueError.

    `chosen` is the record mode of the command line, which is before them all.
    """
    found: dict[str, Any] = {}
    for layer in reversed(layers):
        for word, value in layer.items():
            checked = _checked(word, value)
            found[word] = (*found.get(word, ()), *checked) if word in LISTS else checked
    if chosen is not None:
        found["record_mode"] = chosen
    return Wanted(**found | {"record_mode": RECORD_MODES[found.get("record_mode", "auto")]})


def _checked(word: str, value: Any) -> Any:
    if word in LISTS:
        return _texts(word, value)
    if word in SWITCHES and not isinstance(value, bool):
        raise ValueError(f"{word} is True or False, not {value!r}")
    if word == "path" and not isinstance(value, str):
        raise ValueError(f"path is a text, not {value!r}")
    words = {"mode": REPLAY_MODES, "record_mode": tuple(RECORD_MODES)}.get(word)
    if words is not None:
        require_word(word, value, words)
    return value


def _texts(word: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{word} is a list of texts, not {value!r}")
    return tuple(value)


def require_word(what: str, value: object, words: Collection[str]) -> None:
    """Raise ValueError unless a value is one of these words, naming the nearest."""
    if value not in words:
        raise ValueError(f"{what} is not {value!r}{nearest(str(value), words)}; write {', '.join(words)}")


def require_words(marker: str, given: Iterable[str], words: Iterable[str]) -> None:
    """Raise ValueError for words that a marker does not take, naming the nearest."""
    unknown = sorted(set(given) - set(words))
    if unknown:
        named = ", ".join(f"{word}{nearest(word, words)}" for word in unknown)
        raise ValueError(f"{marker} does not take {named}; it takes {', '.join(words)}")


def nearest(word: str, words: Iterable[str]) -> str:
    """Return the word that was meant, perhaps, as ` (mode?)`."""
    close = difflib.get_close_matches(word, list(words), 1)
    return f" ({close[0]}?)" if close else ""
