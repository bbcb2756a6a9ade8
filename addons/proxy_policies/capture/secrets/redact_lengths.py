"""Redact strings that have their length before them, in PHP's `serialize`, bencode and RESP, and change that, too.

`s:8:"password";s:7:"hunter2";`, in a PHP session `password|s:7:"hunter2";`, in bencode `8:password7:hunter2`
"""

import re

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_text import MAX_NAME_LENGTH, last_name
from proxy_policies.capture.secrets.secret_words import secret_words

_PHP = re.compile(r"(?P<rest>[\w-]{0,60}+)(?:\";|\|)s:(?P<length>\d{1,7}):\"")
_BENCODE_START = re.compile(r"[dl]{1,9}(?P<length>\d{1,4}):")
_BENCODE_LENGTH = re.compile(r"(?P<length>\d{1,3}):\Z")
_BENCODE_VALUE = re.compile(r"(?P<length>\d{1,7}):")


_LINE_END = r"(?:\r\n|\\r\\n)"
_RESP = re.compile(
    rf"(?:\*[23]|HELLO{_LINE_END}\$1{_LINE_END}\d){_LINE_END}\$4{_LINE_END}(?:AUTH|auth){_LINE_END}"
    rf"(?:\$\d{{1,3}}{_LINE_END}[^\r\n\\]{{1,200}}{_LINE_END})??"
    rf"\$(?P<length>\d{{1,5}}){_LINE_END}(?P<value>[^\r\n\\\"]+)(?={_LINE_END}(?:[*\"]|\$7{_LINE_END}SETNAME|\Z)|\Z)"
)


def is_bencode(text: str) -> bool:
    """Return whether a text begins as a dictionary or a list of bencode with a string."""
    begin = _BENCODE_START.match(text)
    return begin is not None and text.startswith(tuple("0123456789dile"), begin.end() + int(begin["length"]))


def in_lengths(text: str, decider: Decider) -> str:
    """Replace secrets in strings after such names; their lengths are in bytes of UTF-8."""
    if ":" not in text:
        return text
    pieces: list[str] = []
    done = read = 0
    for at, stem in secret_words(text):
        found = _value(text, at, at + len(stem), read) if at >= read else None
        if found is None:
            continue
        name, length, begin, value = found
        read = begin + len(value)
        replaced = decider.replace(name, value)
        if replaced != value:
            pieces += (text[done : length.start("length")], str(len(replaced.encode())))
            pieces += (text[length.end("length") : begin], replaced)
            done = read
    return "".join((*pieces, text[done:])) if pieces else text


def in_resp(text: str, decider: Decider) -> str:
    """Replace passwords in Redis' protocol, `*2 $4 AUTH $7 hunter2` on a line each, and in strings that contain it."""
    if "AUTH" not in text and "auth" not in text:
        return text

    def command(found: re.Match[str]) -> str:
        replaced = decider.replace("password", found["value"])
        if replaced == found["value"]:
            return found[0]
        before, between = text[found.start() : found.start("length")], text[found.end("length") : found.start("value")]
        return f"{before}{len(replaced.encode())}{between}{replaced}"

    return _RESP.sub(command, text)


def _value(text: str, at: int, stem_end: int, read: int) -> tuple[str, re.Match[str], int, str] | None:
    """Return the name with this stem, the match of the length of its value, and the value with its index."""
    before = max(read, at - MAX_NAME_LENGTH)
    if (php := _PHP.match(text, stem_end)) is not None:
        name = last_name(text[before : php.end("rest")])
        value = _bytes_at(text, php.end(), int(php["length"]))
        is_ended = text.startswith('"', php.end() + len(value))
        return (name, php, php.end(), value) if is_ended else None
    start = at - len(last_name(text[before:at]))
    for end in _name_ends(text, start, read):
        if end >= stem_end and (bencode := _BENCODE_VALUE.match(text, end)) is not None:
            return text[start:end], bencode, bencode.end(), _bytes_at(text, bencode.end(), int(bencode["length"]))
    return None


def _name_ends(text: str, start: int, read: int) -> list[int]:
    """Return where a name ends if its length is before it; digits of a value may precede those of the length."""
    digits = _BENCODE_LENGTH.search(text[max(read, start - 4) : start])
    return [start + int(digits["length"][-count:]) for count in range(1, len(digits["length"]) + 1)] if digits else []


def _bytes_at(text: str, at: int, length: int) -> str:
    """Return the characters at an index that have this length in bytes, fewer if the text is cut."""
    encoded = text[at : at + length].encode("utf-8", "surrogateescape")[:length]
    return encoded.decode("utf-8", "ignore") if encoded.isascii() else encoded.decode("utf-8", "surrogateescape")
