"""The options of a test's capture: from the command line, the marker, `http_capture_config`, and the ini file."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from proxy_policies.capture.runner.session_proxy import CaptureOptions
from proxy_policies.log_lines import nearest

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
"""Our record modes, and those of vcrpy and pytest-recording, by name."""
REPLAY_MODES = ("once", "loop", "new", "strict")
LISTS = ("ignore", "redact", "set")
BOOLEANS = ("exact", "record_on_exception")
OPTION_NAMES = ("path", "mode", "record_mode", *LISTS, *BOOLEANS)
"""The options of the marker and the fixture `http_capture_config`; in the ini file, `http_capture_NAME`."""


def merge_options(chosen: str | None, *layers: Mapping[str, Any]) -> CaptureOptions:
    """Return the options of the layers merged; earlier ones take precedence, lists are joined. Raise ValueError.

    `chosen` is the record mode of the command line, which takes precedence over all.
    """
    found: dict[str, Any] = {}
    for layer in reversed(layers):
        for name, value in layer.items():
            checked = _checked(name, value)
            found[name] = (*found.get(name, ()), *checked) if name in LISTS else checked
    if chosen is not None:
        found["record_mode"] = chosen
    return CaptureOptions(**found | {"record_mode": RECORD_MODES[found.get("record_mode", "auto")]})


def _checked(name: str, value: Any) -> Any:
    if name in LISTS:
        return _texts(name, value)
    if name in BOOLEANS and not isinstance(value, bool):
        raise ValueError(f"{name} is True or False, not {value!r}")
    if name == "path" and not isinstance(value, str):
        raise ValueError(f"path is a text, not {value!r}")
    words = {"mode": REPLAY_MODES, "record_mode": tuple(RECORD_MODES)}.get(name)
    if words is not None:
        require_word(name, value, words)
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name} is a list of texts, not {value!r}")
    return tuple(value)


def require_word(name: str, value: object, words: Collection[str]) -> None:
    """Raise ValueError, with the closest word, unless a value is one of these words."""
    if value not in words:
        raise ValueError(f"{name} is not {value!r}{_suggestion(str(value), words)}; write {', '.join(words)}")


def require_words(marker: str, given: Iterable[str], words: Iterable[str]) -> None:
    """Raise ValueError, with the closest word, if a marker has a word that is not one of these."""
    unknown = sorted(set(given) - set(words))
    if unknown:
        named = ", ".join(f"{name}{_suggestion(name, words)}" for name in unknown)
        raise ValueError(f"{marker} does not take {named}; it takes {', '.join(words)}")


def _suggestion(name: str, words: Iterable[str]) -> str:
    """Return the closest word, as ` (mode?)`; empty if none is close."""
    close = nearest(name, words)
    return f" ({close}?)" if close else ""
