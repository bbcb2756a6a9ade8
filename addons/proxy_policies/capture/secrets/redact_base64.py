"""Secrets in JSON that is written in base64 (RFC 4648), as in `state` parameters, cookies, queues and AWS Lambda."""

import base64
import json
import re
from collections.abc import Callable

_BEGINNINGS = ("eyJ", "eyA", "ewo", "ew0", "W3s")
"""What `{"n`, `{ "`, an object of several lines, and a list of objects are in base64."""
_ENCODED = re.compile(
    rf"(?<![\w.-])(?:{'|'.join(_BEGINNINGS)})(?:[A-Za-z0-9+/]{{8,}}|[A-Za-z0-9_-]{{8,}})"
    r"(?:={1,2}|(?:%3[Dd]){1,2})?(?![\w+/=-]|\.\w)"
)


def in_base64(text: str, look: Callable[[str], str]) -> str:
    """Return the text with what `look` makes of each JSON document that is in it in base64, written as it was."""
    if not any(map(text.__contains__, _BEGINNINGS)):
        return text
    return _ENCODED.sub(lambda found: _replaced(found[0], look, is_cut=found.end() == len(text)), text)


def _replaced(source: str, look: Callable[[str], str], is_cut: bool) -> str:
    plain = source.replace("%3D", "=").replace("%3d", "=")
    bare = plain.rstrip("=")
    is_url_safe = "-" in bare or "_" in bare
    document = _decoded(bare, is_url_safe)
    if not (is_cut or _is_json(document)) or (inner := look(document)) == document:
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
