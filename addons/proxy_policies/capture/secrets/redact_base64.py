"""Secrets in JSON and forms that are written in base64 (RFC 4648), as in `state` parameters, cookies and queues."""

import base64
import json
import re
from collections.abc import Callable, Iterator

from proxy_policies.capture.multipart import is_form_data

_BEGINNINGS = ("eyJ", "eyA", "ewo", "ew0", "W3s", "LS0", "LS1")
"""What `{"n`, `{ "`, an object of several lines, a list of objects, and multipart forms are in base64."""
_BEGIN = re.compile(rf"(?<![\w.-])(?:{'|'.join(_BEGINNINGS)})")
_END = r"(?:={1,2}|(?:%3[Dd]){1,2})?(?![\w+/=-]|\.\w)"
_RUN = re.compile(r"[A-Za-z0-9+/]*+")
_STANDARD = re.compile(rf"[A-Za-z0-9+/]{{11,}}+{_END}")
_URL_SAFE = re.compile(rf"[A-Za-z0-9_-]{{11,}}+{_END}")


def in_base64(text: str, look: Callable[[str], str]) -> str:
    """Return the text with what `look` makes of each document or form that is in it in base64, written as it was."""
    if not any(map(text.__contains__, _BEGINNINGS)):
        return text
    pieces: list[str] = []
    done = 0
    for found in _encoded(text):
        pieces += (text[done : found.start()], _replaced(found[0], look, is_cut=found.end() == len(text)))
        done = found.end()
    return "".join((*pieces, text[done:]))


def _encoded(text: str) -> Iterator[re.Match[str]]:
    """Yield what may be a document. A run of base64 that ends as none does is read once, not from each beginning."""
    at = run_end = 0
    while (begin := _BEGIN.search(text, at)) is not None:
        at, found = begin.start(), None
        if at >= run_end:
            found = _STANDARD.match(text, at)
            run = _RUN.match(text, at)
            run_end = run.end() if run else at
        found = found or _URL_SAFE.match(text, at)
        at = found.end() if found else begin.end()
        if found:
            yield found


def _replaced(source: str, look: Callable[[str], str], is_cut: bool) -> str:
    plain = source.replace("%3D", "=").replace("%3d", "=")
    bare = plain.rstrip("=")
    is_url_safe = "-" in bare or "_" in bare
    document = _decoded(bare, is_url_safe)
    if not (is_cut or _is_json(document) or is_form_data(_octets(document))) or (inner := look(document)) == document:
        return source
    made = (base64.urlsafe_b64encode if is_url_safe else base64.b64encode)(_octets(inner)).decode()
    made = made if plain != bare or len(bare) % 4 == 0 else made.rstrip("=")
    return made.replace("=", "%3D") if "%" in source else made


def _decoded(bare: str, is_url_safe: bool) -> str:
    """Return what stands there; of a text that is cut as much as there is."""
    whole = bare[:-1] if len(bare) % 4 == 1 else bare
    data = (base64.urlsafe_b64decode if is_url_safe else base64.b64decode)(whole + "=" * (-len(whole) % 4))
    return data.decode("utf-8", "surrogateescape")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_json(text: str) -> bool:
    try:
        json.loads(_octets(text))
    except (ValueError, RecursionError):
        return False
    return True
