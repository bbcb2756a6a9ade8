"""Cache keys: the target URI, and Vary (RFC 9111, sections 2 and 4.1).

The URI is the client's: with its Host, absolute-form authority or :authority, even if the origin is asked under another
name. Where they differ, other data sent to the origin follow it: the dialled address, the sent Host, the TLS server
name, and the fields that the proxy itself adds (`own_fields`). No other field of the client's selects a response
(Cookie, X-HTTP-Method-Override …) unless `Vary` names it.
"""

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from proxy_policies.fields import TOKEN, Fields, parse_weights, tokens

DEFAULT_PORTS = {"http": 80, "https": 443}

VaryKey = tuple[tuple[str, str], ...]
"""The request's side of Vary: (lower-cased field name, normalised value), in the order Vary names them."""


class Target(NamedTuple):
    """A request's target, and how its origin is asked; authorities are bytes as sent, never normalised."""

    scheme: str
    """The scheme of the client's URI."""
    authority: bytes
    """The authority of the client's URI (RFC 9110, section 7.1); empty: the client named none."""
    path: bytes
    """Path and query as sent; `*` for the whole server."""
    origin_scheme: str
    host: str
    """Dialled, as `port` is."""
    port: int
    sent: tuple[bytes, ...]
    """Every authority sent to the origin: Host lines, :authority or that of an absolute target."""
    sni: str = ""
    """Server name of TLS to the origin; empty: none."""


# Text in keys is Latin-1, one character per byte; ambiguous characters are escaped with one outside of Latin-1, so that
# no two targets have the same key.
_ESCAPE = "\N{SYMBOL FOR ESCAPE}"
_AUTHORITY = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z!$&'()*+;=._~%-]+)(?::([0-9]{0,5}))?")
"""A host, optionally with a port (RFC 3986, section 3.2); anything else is kept unchanged."""
_UNUSUAL = re.compile(r"[^0-9A-Za-z!$&'()*+;=._~%:\[\]-]")
_ANOTHER_ARGUMENT = re.compile("[;?#]|%(?:26|3b|3f|23)", re.IGNORECASE)
"""In a query argument: separators other than `&` (W3C HTML 4, B.2.2), also if encoded twice."""
_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE | re.DOTALL)


def _escaped(text: str, unwanted: re.Pattern[str]) -> str:
    return unwanted.sub(lambda match: f"{_ESCAPE}{ord(match[0]):02x}", text)


@lru_cache(maxsize=256)
def normal_authority(scheme: str, authority: bytes) -> str:
    """Normalise an authority so that equivalent ones are equal: lower case, no default port (RFC 9110, section 4.2.3).

    Nothing else is equivalent: neither with a trailing dot, nor Unicode to Punycode.
    """
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return _escaped(authority.decode("latin-1"), _UNUSUAL)
    host, port = match[1].lower().decode("ascii"), (match[2] or b"").decode("ascii")  # bytes.lower() knows ASCII only
    return host if port in ("", str(DEFAULT_PORTS.get(scheme))) else f"{host}:{port}"


@lru_cache(maxsize=256)
def authority_of(scheme: str, host: str, port: int) -> str:
    """Return the dialled host and port as a normalised authority, with IPv6 in brackets."""
    raw = host.encode("utf-8", "surrogateescape")
    name = raw if raw.startswith(b"[") or b":" not in raw else b"[%s]" % raw
    return normal_authority(scheme, b"%s:%d" % (name, port))


_SPACE = re.compile(" ")


def _path_of(path: bytes) -> str:
    """Return path and query unchanged; an empty path becomes `/` (RFC 9110, section 4.2.3)."""
    text = _escaped(path.decode("latin-1"), _SPACE)
    if text.startswith("/"):
        return text
    return f"/{text}" if text[:1] in ("", "?") else f"/{_ESCAPE}{text}"


@lru_cache(maxsize=1024)
def key_of(target: Target) -> str:
    """Return the cache key: the client's URI, then after a space how the origin is asked, if that differs.

    ` at ORIGIN`: under its own name, as in reverse mode. ` via ORIGIN`: another address is dialled, with the URI's
    Host; so a client that names a victim in Host but chooses the address itself fills an entry that no other client
    reads. ` host=…`: Host differs from both; empty: there is no Host. ` sni=…`: the TLS server name differs.
    """
    scheme, origin_scheme = target.scheme.lower(), target.origin_scheme.lower()
    dialled = authority_of(origin_scheme, target.host, target.port)
    named = normal_authority(scheme, target.authority) if target.authority else dialled
    sent = tuple(dict.fromkeys([normal_authority(origin_scheme, authority) for authority in target.sent]))
    url = f"{scheme}://{named}{_path_of(target.path)}"
    origin = dialled if origin_scheme == scheme else f"{origin_scheme}://{dialled}"
    if sent != (named,):
        url += (
            f" at {origin}"
            if sent == (dialled,)
            else f" via {origin} host={','.join(name or _ESCAPE for name in sent)}"
        )
    elif origin != named:
        url += f" via {origin}"
    return url + _server_name(target, named, dialled)


def _server_name(target: Target, named: str, dialled: str) -> str:
    if not target.sni:
        return ""
    name = authority_of("https", target.sni, DEFAULT_PORTS["https"])
    hosts = {authority.rpartition(":")[0] if authority[-1:].isdigit() else authority for authority in (named, dialled)}
    return "" if name in hosts | {named, dialled} else f" sni={name}"


def url_of(key: str) -> str:
    """Return the URI in a key, without the part about its origin."""
    return key.partition(" ")[0]


def origin_url_of(key: str) -> str:
    """Return the URI requested from a key's origin, which differs from the client's in reverse mode."""
    url, _, rest = key.partition(" ")
    relation, _, origin = rest.partition(" ")
    if relation != "at":
        return url
    scheme, _, after = url.partition("://")
    origin = origin.partition(" ")[0]
    path = after[len(after.partition("/")[0]) :]
    return (origin if "://" in origin else f"{scheme}://{origin}") + path


OWN = " own="
"""Precedes, at the end of a key, the digest of the fields that the proxy itself added (`own_fields`)."""


def without_own(key: str) -> str:
    """Return a key without the digest of the proxy's own fields: the same resource, requested under the same rules."""
    return key.partition(OWN)[0]


def normal_url(url: str) -> str | None:
    """Normalise a URL as in keys (`url_of`), without its fragment; None if it is not an http or https URL."""
    match = _URL.fullmatch(url.partition("#")[0])
    if match is None:
        return None
    scheme = match[1].lower()
    authority, path = (part.encode("utf-8", "surrogateescape") for part in (match[2], match[3]))
    return f"{scheme}://{normal_authority(scheme, authority)}{_path_of(path)}"


def without_query(key: str, globs: Sequence[str]) -> str:
    """Return a key without the query arguments whose name matches one of `globs` (`utm_*`).

    One that some origins would split into several arguments (`utm_source=x;id=2`) stays.
    """
    url, space, rest = key.partition(" ")
    head, mark, query = url.partition("?")
    if not mark:
        return key
    kept = [arg for arg in query.split("&") if not _is_ignored(arg, globs)]
    return head + (f"?{'&'.join(kept)}" if kept else "") + space + rest


def _is_ignored(argument: str, globs: Sequence[str]) -> bool:
    name = argument.partition("=")[0]
    return not _ANOTHER_ARGUMENT.search(argument) and any(fnmatchcase(name, glob) for glob in globs)


# Section 4.1: Vary


def vary_names(response: Fields) -> tuple[str, ...] | None:
    """Return Vary's lower-cased field names; None if it has `*`, which never matches, or an invalid name."""
    names = [name for line in response.lines("vary") for name in tokens(line)]
    return tuple(dict.fromkeys(names)) if all([name != "*" and TOKEN.fullmatch(name) for name in names]) else None


def vary_key(names: Sequence[str], request: Fields) -> VaryKey:
    """Return the request's values of the fields that Vary names, normalised so that equivalent values are equal."""
    return tuple([(name, normalise(name, request)) for name in names])


def normalise(name: str, request: Fields) -> str:
    """Normalise one field's value; an absent field differs from every present one."""
    if name not in request:
        return "-"
    if name in _NO_LISTS:
        return "=" + "\n".join([line.strip(" \t") for line in request.lines(name)])
    return "=" + _NORMALISERS.get(name, _as_list)(request.get(name) or "")


_QUOTED_OR_COMMAS = re.compile(r"""("(?:[^"\\]|\\.)*+(?:"|\\?\Z))|(?<![ \t])[ \t]*+,[ \t,]*+""", re.DOTALL)
"""A quoted string, or commas with the white space around them, found from its beginning: else each space is tried."""
_WITHOUT_SPACE = str.maketrans("", "", " \t")
_WEIGHTED = re.compile(rf"{TOKEN.pattern}(?:[ \t]*+;[ \t]*+[qQ]=(?:0(?:\.[0-9]{{0,3}})?|1(?:\.0{{0,3}})?))?")


def _as_list(value: str) -> str:
    """Remove white space around commas. Empty members stay: not every field is a list (Origin, Cookie, …)."""
    return _QUOTED_OR_COMMAS.sub(lambda match: match[1] or match[0].translate(_WITHOUT_SPACE), value.strip(" \t"))


def _weighted(value: str, alias: dict[str, str]) -> str:
    """Sort weighted members: the order of those with the same weight has no meaning.

    Values that violate the grammar, or repeat a name, may be interpreted differently by origins: they stay unchanged,
    marked with a character that cannot begin a name.
    """
    members = _as_list(value)
    weights = {alias.get(name, name): weight for name, weight in parse_weights(members)}
    parts = members.split(",")
    if len(weights) != len(parts) or not all(_WEIGHTED.fullmatch(part) for part in parts):
        return f"?{members}"
    return ",".join(f"{name};{weight:g}" for name, weight in sorted(weights.items()))


def _accept_encoding(value: str) -> str:
    return _weighted(value, {"x-gzip": "gzip", "x-compress": "compress"})  # RFC 9110, section 8.4.1


def _accept_language(value: str) -> str:
    return _weighted(value, {})


_NO_LISTS = frozenset({"authorization", "cookie", "host", "origin", "referer", "user-agent"})
"""Fields that are not lists: white space beside a comma is part of their value, and several lines, which origins may
read differently, or a proxy join differently (Cookie: RFC 9113, section 8.2.3), differ from one with commas."""
_NORMALISERS: dict[str, Callable[[str], str]] = {
    "accept-encoding": _accept_encoding,
    "accept-language": _accept_language,
}


def matches(stored: VaryKey, response: Fields, request: Fields) -> bool:
    """Return whether a request selects the response stored for the field values `stored`."""
    return not stored or all(
        normalise(name, request) == value or (name == "accept-language" and _language_matches(response, request))
        for name, value in stored
    )


def _language_matches(response: Fields, request: Fields) -> bool:
    """Return whether the stored response is in the single language that the request prefers.

    A server that has this language would choose it whatever else the request lists.
    """
    languages = tokens(response.get("content-language"))
    weights = sorted(parse_weights(request.get("accept-language") or ""), key=lambda weight: -weight[1])
    if len(languages) != 1 or not weights or weights[0][1] == 0:
        return False
    alone = len(weights) == 1 or weights[0][1] > weights[1][1]
    return alone and weights[0][0] == languages[0]
