"""Globs over media types, such as `text/*` and `!text/event-stream`."""

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from functools import lru_cache

from proxy_policies.fields import media_type_of

TEXT_LIKE = (
    "text/*",
    "application/json",
    "application/*+json",
    "application/x-ndjson",
    "application/javascript",
    "application/x-javascript",
    "application/ecmascript",
    "application/xml",
    "application/*+xml",
    "application/graphql",
    "application/wasm",
    "application/yaml",
    "application/x-yaml",
    "application/toml",
    "application/sql",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "application/x-sh",
    "font/otf",
    "font/ttf",
    "image/svg+xml",
    "image/bmp",
    "image/x-icon",
    "image/vnd.microsoft.icon",
    "model/gltf+json",
)
"""Media types that compress well."""

_GLOB = re.compile(r"!?[^\s/;,!]+/[^\s/;,]+|\*")


class MediaTypeGlobs:
    """Media types by globs; those with a leading `!` exclude."""

    def __init__(self, wanted: re.Pattern[str], excluded: re.Pattern[str]) -> None:
        self._wanted, self._excluded = wanted, excluded
        self.include = lru_cache(maxsize=256)(self._include)
        """Returns whether they include a Content-Type, ignoring parameters and case."""

    def _include(self, content_type: str | None) -> bool:
        media_type = media_type_of(content_type)
        return bool(self._wanted.fullmatch(media_type)) and not self._excluded.fullmatch(media_type)


def parse_types(globs: Sequence[str]) -> MediaTypeGlobs:
    """Parse globs over media types. Raise ValueError, which quotes an invalid one."""
    for glob in globs:
        if not _GLOB.fullmatch(glob.strip()):
            raise ValueError(
                f"{glob!r} is not a valid media type; write globs such as text/*, application/json or !text/css"
            )
    cleaned = [glob.strip().lower() for glob in globs]
    return MediaTypeGlobs(_any(g for g in cleaned if g[0] != "!"), _any(g[1:] for g in cleaned if g[0] == "!"))


def _any(globs: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, globs)) or r"(?!)")
