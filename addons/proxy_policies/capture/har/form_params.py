"""The body of a form from HAR's `params`, for files without its `text`: Firefox, Charles, Chrome for uploads."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

_ENCODED = re.compile(r"(?:[\w.~*+!'()-]|%[0-9a-fA-F]{2})*", re.ASCII)
_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"\r\n]+)"|([^\s;"]+))', re.IGNORECASE)
_QUOTED = {'"': "%22", "\r": "%0D", "\n": "%0A"}
"""As browsers write names into multipart heads (HTML, "multipart form data")."""


@dataclass(frozen=True, slots=True)
class Param:
    """A field of a form, or a file that it sent."""

    name: str
    value: str
    file_name: str = ""
    media_type: str = ""


def form_body(params: Sequence[Param], media_type: str) -> bytes:
    """Return the body as it is sent with this media type.

    Exporters write values encoded or not; those that cannot have been sent as they are, are encoded.
    """
    boundary = _BOUNDARY.search(media_type)
    if media_type.lower().startswith("multipart/") and boundary:
        return b"".join(_parts(params, (boundary[1] or boundary[2]).encode()))
    return "&".join(f"{_encoded(param.name)}={_encoded(param.value)}" for param in params).encode()


def _encoded(text: str) -> str:
    return text if _ENCODED.fullmatch(text) else quote_plus(text, errors="replace")


def _parts(params: Sequence[Param], boundary: bytes) -> Iterator[bytes]:
    for param in params:
        head = f'Content-Disposition: form-data; name="{_quoted(param.name)}"'
        head += f'; filename="{_quoted(param.file_name)}"' if param.file_name else ""
        head += f"\r\nContent-Type: {param.media_type}" if param.media_type else ""
        content = f"{head}\r\n\r\n{param.value}\r\n".encode("utf-8", "replace")
        yield b"--" + boundary + b"\r\n" + content
    yield b"--" + boundary + b"--\r\n"


def _quoted(text: str) -> str:
    return "".join(_QUOTED.get(character, character) for character in text)
