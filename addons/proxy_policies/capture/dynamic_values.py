"""Values that differ each time without meaning anything: identifiers, timestamps, random tokens."""

import re

from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, kind

_KINDS = {
    "secret": PLACEHOLDER.pattern,
    "uuid": r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b",
    "date": r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT",
    "time": r"\b20\d\d-[01]\d-[0-3]\d[T ][0-2]\d:[0-5]\d(?::[0-6]\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
    "epoch": r"(?<![\w.])1[5-9]\d{8}(?:\d{3}|\d{6})?(?:\.\d+)?(?![\w.])",
    "hex": r"\b(?=[0-9a-fA-F]*[a-fA-F])(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{16,128}\b",
    "token": r"\b(?=[\w-]*[A-Za-z])(?=(?:[\w-]*?\d){3})[\w-]{20,512}(?![\w-])",
}
_ANY = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _KINDS.items()))


def kind_of(value: str) -> str:
    """Return the kind of a value that is wholly dynamic (`uuid`, `time` …), else an empty text."""
    found = _ANY.fullmatch(value)
    return (found.lastgroup or "") if found else ""


def spans(text: str) -> list[tuple[int, int]]:
    """Return where dynamic values stand in a text."""
    return [found.span() for found in _ANY.finditer(text)]


def mask(text: str) -> str:
    """Return the text with each dynamic value replaced by its kind, as `<uuid>`."""
    return _ANY.sub(lambda found: f"<{found.lastgroup}>", text)


def mask_plain(text: str) -> str:
    """Return the text with each dynamic value but secrets replaced by its kind."""
    return _ANY.sub(lambda found: found[0] if found.lastgroup == "secret" else f"<{found.lastgroup}>", text)


def mask_kinds(text: str) -> str:
    """Return the text with each dynamic value replaced by its kind, and each secret by what it is said to be."""
    return _ANY.sub(lambda found: f"<{found.lastgroup}{kind(found[0]) if found.lastgroup == 'secret' else ''}>", text)
