"""Redact texts in base64 (RFC 4648), compressed or not, and in hexadecimal, as in `state` parameters and queues."""

import base64
import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from string import ascii_letters, digits

from proxy_policies.decoding import decode

MIN_LENGTH = 15
"""Fewer characters encode at most 10 bytes: too few for a name and its secret."""
_LONG_RUN = b"a" * MIN_LENGTH
_CLASSES = bytes.maketrans(
    bytes(range(256)), bytes(b"a"[0] if chr(byte) in f"{ascii_letters}{digits}+/-_" else 0 for byte in range(256))
)
_FOLD = r"(?:\r?\n|(?:\\r)?\\n)"
"""A line break, also as escaped in a JSON string."""
_FOLDED = re.compile(
    rf"(?<![\w.+/=-])(?P<line>[A-Za-z0-9+/]{{60}}(?:[A-Za-z0-9+/]{{4}}){{0,4}}+)(?P<fold>{_FOLD})"
    rf"(?:[A-Za-z0-9+/]{{60}}(?:[A-Za-z0-9+/]{{4}}){{0,4}}+(?P=fold))*+[A-Za-z0-9+/]++={{0,2}}(?![\w+/=-])"
)
"""Base64 in lines of 60 to 76 characters (RFC 2045 section 6.8, RFC 7468)."""
_RUN = re.compile(r"(?<![\w.])[A-Za-z0-9+/_-]++(?:={1,2}|(?:%3[Dd]){1,2})?(?![\w+/=-]|\.\w)")
_TEXT_START = re.compile(r"H4sI|eJ[w-z]|eN[o-r]|eA[E-H]|eF[4-7]|77u/|A[C-H]|[C-Za-f][A-HQ-Xg-nw-z0-3]")
"""The first characters of gzip, zlib (RFC 1950), a UTF-8 byte order mark, a NUL before ASCII, and ASCII."""
_TEXT_SEGMENT = re.compile(rf"/(?:{_TEXT_START.pattern})[^/]{{{MIN_LENGTH - 4},}}")
"""A segment that may be a text, of at least MIN_LENGTH characters; a fast check."""
_HEX = re.compile(r"(?:0[9adAD]|[2-7][0-9a-f]|[2-7][0-9A-F]){8}")
"""The first bytes of a text in hexadecimal, at least as long as a name and its secret."""
_START_WITH_ZEROS = re.compile(
    rb"H0sI|eJ[w-z]|eN[o-r]|eA[E-H]|eF0|00u/|A[C-H]|[C-Za-f][A-HQ-Xg-nw-z0]|(?:0[0a-fA-F]){8}"
)
"""What `_TEXT_START` and `_HEX` match if all digits are zeros."""
_PREFIX_LENGTH = 16  # characters decoded first to exclude most runs that are not texts
_CONTROL_CHARACTER = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\x00[^\x00]*\x00[^\x00]*\x00")
"""A character that texts do not have; the credentials of SASL PLAIN have two NULs (RFC 4616)."""
_COMPRESSED = re.compile(r"(?P<gzip>H4sI)|eJ[w-z]|eN[o-r]|eA[E-H]|eF[4-7]")
MAX_DECOMPRESSED = 1 << 20
"""Maximum decompressed bytes: 1 MB, AWS's limit of an event, as sent by `awslogs`."""


def in_base64(text: str, redact: Callable[[str], str]) -> str:
    """Return a text with `redact` applied to each text in it that is in base64, encoded again in the same way."""
    if "\n" in text or "\\n" in text:
        text = _FOLDED.sub(lambda found: _in_folded(found, redact), text)
    pieces: list[str] = []
    done = 0
    for run in _runs(text):
        pieces += (text[done : run.start()], _in_run(run[0], redact, is_cut=run.end() == len(text)))
        done = run.end()
    return "".join((*pieces, text[done:])) if pieces else text


def _in_folded(found: re.Match[str], redact: Callable[[str], str]) -> str:
    """Redact base64 in lines, and divide it again into lines of the length of the first."""
    run, width, fold = found[0].replace(found["fold"], ""), len(found["line"]), found["fold"]
    if (replaced := _redacted_base64(run, redact, is_cut=False)) in (None, run):
        return found[0]
    return fold.join(replaced[at : at + width] for at in range(0, len(replaced), width))


def _runs(text: str) -> Iterator[re.Match[str]]:
    """Yield runs with the start of a text in base64 or hexadecimal; searching bytes instead of characters is fast."""
    classes = text.encode("latin-1", "replace").translate(_CLASSES)
    at = classes.find(_LONG_RUN)
    while at >= 0:
        end = classes.find(0, at) % (len(text) + 1)
        has_start = _has_start(text, at) or _TEXT_SEGMENT.search(text, at, end) is not None
        if has_start and (run := _RUN.match(text, at)) is not None:
            yield run
        at = classes.find(_LONG_RUN, end)


def has_texts(content: bytes) -> bool:
    """Return whether ASCII content may have a text in base64 or hexadecimal, also in a JSON string."""
    plain = content.replace(b"\\/", b"/") if b"\\" in content else content
    classes = plain.translate(_CLASSES)
    runs = set()
    at = classes.find(_LONG_RUN)
    while at >= 0:
        end = classes.find(0, at) % (len(plain) + 1)
        runs.add(plain[at:end])
        if plain.endswith(b"\\", 0, at):  # a run may begin after the letter of an escape
            runs.add(plain[at + 1 : end])
        at = classes.find(_LONG_RUN, end)
    return any(_has_text(run.decode("latin-1")) for run in runs)


def may_be_text(run: bytes) -> bool:
    """Return whether a run of characters of base64, all digits of which are zeros, may be or have a text; a fast check.

    A run may begin after the letter of an escape.
    """
    return len(run) >= MIN_LENGTH and any(map(_START_WITH_ZEROS.match, (run[1:], *run.split(b"/"))))


def _has_text(run: str) -> bool:
    if not (_has_start(run, 0) or _TEXT_SEGMENT.search(run)):
        return False
    return _HEX.match(run) is not None or any(map(_may_be_text, (run, *run.split("/"))))


def _has_start(text: str, at: int) -> bool:
    return _TEXT_START.match(text, at) is not None or _HEX.match(text, at) is not None


def _in_run(run: str, redact: Callable[[str], str], is_cut: bool) -> str:
    """Redact a run as a whole, else as a path: from its first segment that is a text, or segment by segment."""
    if (replaced := _redacted_base64(run, redact, is_cut)) is not None:
        return replaced
    if "/" not in run:
        return run
    segments = run.split("/")
    first = next((number for number, segment in enumerate(segments) if number and _may_be_text(segment)), 0)
    if not first:
        return run
    before, rest = "/".join(segments[:first]), "/".join(segments[first:])
    if (replaced := _redacted_base64(rest, redact, is_cut)) is None:
        replaced = "/".join(
            [_redacted_base64(segment, redact, is_cut=False) or segment for segment in segments[first:]]
        )
    return f"{before}/{replaced}"


def _redacted_base64(source: str, redact: Callable[[str], str], is_cut: bool) -> str | None:
    """Return a redacted text in base64, `source` if nothing is replaced; None if it is not a text."""
    if _HEX.match(source) is not None:
        return _redacted_hex(source, redact)
    if not _may_be_text(source):
        return None
    plain = source.replace("%3D", "=").replace("%3d", "=")
    unpadded = plain.rstrip("=")
    is_url_safe = "-" in unpadded or "_" in unpadded
    compressed = _COMPRESSED.match(unpadded)
    coding = "" if compressed is None else "gzip" if compressed["gzip"] else "deflate"
    inner = _decompressed(unpadded, coding) if coding else _text_of(unpadded, is_cut)
    if inner is None or (replaced := redact(inner)) == inner:
        return None if inner is None else source
    data = _compressed(replaced.encode(), coding)
    encoded = (base64.urlsafe_b64encode if is_url_safe else base64.b64encode)(data).decode()
    encoded = encoded if plain != unpadded or len(unpadded) % 4 == 0 else encoded.rstrip("=")
    return encoded.replace("=", "%3D") if "%" in source else encoded


def _redacted_hex(source: str, redact: Callable[[str], str]) -> str | None:
    """Return a redacted text in hexadecimal, `source` if nothing is replaced; None if it is not a text."""
    try:
        text = bytes.fromhex(source[: len(source) & -2]).decode()
    except ValueError:
        return None
    if _CONTROL_CHARACTER.search(text) or (replaced := redact(text)) == text:
        return None if _CONTROL_CHARACTER.search(text) else source
    written = replaced.encode().hex()
    return written if source == source.lower() else written.upper()


def _may_be_text(source: str) -> bool:
    """Return whether a run begins like a text in base64, which very few others do."""
    if len(source) < MIN_LENGTH or _TEXT_START.match(source) is None:
        return False
    first = source[:_PREFIX_LENGTH].rstrip("=")
    return _COMPRESSED.match(first) is not None or ("%" not in first and _text_of(first, is_cut=True) is not None)


def _decoded(unpadded: str) -> bytes:
    """Return the decoded bytes, as many as are complete."""
    complete = unpadded[:-1] if len(unpadded) % 4 == 1 else unpadded
    return base64.b64decode(complete.replace("-", "+").replace("_", "/") + "=" * (-len(complete) % 4))


def _text_of(unpadded: str, is_cut: bool) -> str | None:
    """Return the decoded text, if cut without an incomplete last character; None if it is not a text."""
    data = _decoded(unpadded)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if not is_cut or len(data) - error.start > 3:
            return None
        text = data[: error.start].decode()
    is_text = is_cut or text.count("\0") in (0, 2)
    return text if is_text and not _CONTROL_CHARACTER.search(text) else None


def _decompressed(unpadded: str, coding: str) -> str | None:
    try:
        return decode(_decoded(unpadded), coding, MAX_DECOMPRESSED).decode()
    except ValueError:
        return None


def _compressed(data: bytes, coding: str) -> bytes:
    return gzip.compress(data, mtime=0) if coding == "gzip" else zlib.compress(data) if coding else data
