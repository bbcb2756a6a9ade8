"""Dynamic values, which differ each time without meaning: identifiers, timestamps, random tokens."""

import re
from collections.abc import Callable

from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, kind
from proxy_policies.capture.secrets.values import LENGTHS, is_random, length_class

_KINDS = {
    "secret": PLACEHOLDER.pattern,
    "uuid": r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b",
    "date": r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT",
    "time": r"\b20\d\d-[01]\d-[0-3]\d[T ][0-2]\d:[0-5]\d(?::[0-6]\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
    "epoch": r"(?<![\w.])1[5-9]\d{8}(?:\d{3}|\d{6})?(?:\.\d+)?(?![\w.])",
    "hex": r"\b(?=[0-9a-fA-F]*[a-fA-F])(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{16,128}\b",
}
_ANY = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _KINDS.items()))
_LONG = re.compile(r"(?<![\w<-])[\w-]{20,512}(?![\w>-])")
_DIGIT = re.compile(r"\d")
_FRACTION = re.compile(r"[.,]\d+")
"""The fraction of a second; Go, Java and Python omit its last zeros."""
_HEX = re.compile(r"[0-9a-f]{16,128}|[0-9A-F]{16,128}")


def dynamic_kind(value: str) -> str:
    """Return the kind of a dynamic value (`uuid`, `time`, `token` …); empty for any other text."""
    found = _ANY.fullmatch(value)
    if found is not None:
        return found.lastgroup or ""
    return "token" if _LONG.fullmatch(value) and is_random(value) else ""


def are_alike(one: str, other: str) -> bool:
    """Return whether both values are dynamic and of one kind, but not secrets."""
    kinds = {dynamic_kind(one), dynamic_kind(other)}
    if len(kinds) == 1:
        (name,) = kinds
        return name not in ("", "secret") and _have_same_format(name, one, other)
    both_hex = all(_HEX.fullmatch(value) for value in (one, other))
    return "hex" in kinds and both_hex and len(one) == len(other)  # one in 2 000 of token_hex(8) has digits only


def differ_inside(one: str, other: str) -> bool:
    """Return whether two values differ in dynamic values that are only parts of them; secrets must be equal."""
    if dynamic_kind(one) or dynamic_kind(other) or PLACEHOLDER.findall(one) != PLACEHOLDER.findall(other):
        return False
    return mask_kinds(one) == mask_kinds(other)


def _have_same_format(name: str, one: str, other: str) -> bool:
    """Return whether two values of a kind have the same format: not seconds and milliseconds, or MD5 and SHA-256."""
    if name == "token":
        return abs(LENGTHS.index(length_class(one)) - LENGTHS.index(length_class(other))) <= 1
    return _format(name, one) == _format(name, other)


def _format(name: str, value: str) -> str:
    """Return the format of a value, without its content."""
    if name == "uuid":
        return "" if value.strip("0-") else "nil"
    if name == "hex":
        return str(len(value))
    return _DIGIT.sub("0", _FRACTION.sub("", value)) if name in ("time", "epoch") else ""


def has_time(value: object) -> bool:
    """Return whether a value has a time in it, which may come again by chance; a number may be one."""
    kinds = {found.lastgroup for found in _ANY.finditer(value)} if isinstance(value, str) else {"epoch"}
    return not kinds.isdisjoint(("date", "time", "epoch"))


def spans(text: str) -> list[tuple[int, int]]:
    """Return the start and end of each dynamic value in a text."""
    found = [match.span() for match in _ANY.finditer(text)]
    long = [match.span() for match in _LONG.finditer(text) if is_random(match[0])]
    return sorted(found + [(start, end) for start, end in long if not any(start < e and s < end for s, e in found)])


def mask(text: str) -> str:
    """Return the text with each dynamic value replaced by its kind, as `<uuid>`."""
    return _masked(text, lambda found: f"<{found.lastgroup}>")


def mask_plain(text: str) -> str:
    """Return the text with each dynamic value, except secrets, replaced by its kind."""
    return _masked(text, lambda found: found[0] if found.lastgroup == "secret" else _mask(found))


def mask_kinds(text: str) -> str:
    """Return the text with each dynamic value replaced by its kind, and each secret by that of its placeholder."""
    return _masked(text, lambda found: f"<secret{kind(found[0])}>" if found.lastgroup == "secret" else _mask(found))


def _mask(found: re.Match[str]) -> str:
    name = found.lastgroup or ""
    return f"<{name} {_format(name, found[0])}>".replace(" >", ">")


def _masked(text: str, replace: Callable[[re.Match[str]], str]) -> str:
    text = _ANY.sub(replace, text)
    return _LONG.sub(lambda found: "<token>" if dynamic_kind(found[0]) == "token" else found[0], text)
