"""What a stored response is filed under: the effective URI, and Vary (RFC 9111, sections 2 and 4.1).

Only what the origin itself is asked for is in the key: scheme, authority and
target as they are sent upstream. No other field selects an answer
(X-Forwarded-Host, X-Original-URL, X-HTTP-Method-Override …) unless `Vary` names it.
"""

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from proxy_policies.fields import Fields, parse_weights, split_list, tokens

DEFAULT_PORTS = {"http": 80, "https": 443}

Selecting = tuple[tuple[str, str], ...]
"""The request's side of Vary: (lower-cased field name, normalised value), in the order Vary names them."""


class Target(NamedTuple):
    """Whom a request is for: `host` and `port` are what is dialled, `authority` is what Host or :authority says."""

    scheme: str
    host: str
    port: int
    path: str
    """Path and query as sent; `*` for the server as a whole."""
    authority: str = ""
    """Empty: the same as host and port."""


@lru_cache(maxsize=64)
def authority_of(scheme: str, host: str, port: int) -> str:
    """Write host and port as a normalised authority: lower case, no default port, IPv6 in brackets."""
    name = host.lower().rstrip(".") or host
    name = f"[{name}]" if ":" in name and not name.startswith("[") else name
    return name if port == DEFAULT_PORTS.get(scheme) else f"{name}:{port}"


@lru_cache(maxsize=64)
def _normal_authority(scheme: str, authority: str) -> str:
    host, colon, port = authority.rpartition(":")
    if not colon or not (port == "" or port.isdigit()) or host.endswith(":"):
        host, port = authority, ""
    number = int(port[:6]) if port else DEFAULT_PORTS.get(scheme, 0)
    return authority_of(scheme, host, number)


def key_of(target: Target) -> str:
    """Write the cache key: the effective URI, and ` via host:port` when its authority is not what is dialled.

    With the address in the key, a client that names a victim in `Host` on the way to an
    address of its own choosing fills an entry that nobody else reads.
    """
    scheme = target.scheme.lower()
    dialled = authority_of(scheme, target.host, target.port)
    named = _normal_authority(scheme, target.authority) if target.authority else dialled
    path = target.path.partition("#")[0].replace(" ", "%20") or "/"  # what follows a space is ours to say
    url = f"{scheme}://{named}{path if path.startswith('/') else '/' + path}"
    return url if named == dialled else f"{url} via {dialled}"


def url_of(key: str) -> str:
    """Give the URI in a key, without the address it was dialled at."""
    return key.partition(" ")[0]


def without_query(key: str, globs: Sequence[str]) -> str:
    """Leave out of a key the query arguments whose name matches one of `globs` (`utm_*`)."""
    url, space, rest = key.partition(" ")
    head, mark, query = url.partition("?")
    if not mark:
        return key
    kept = [arg for arg in query.split("&") if not any(fnmatchcase(arg.partition("=")[0], glob) for glob in globs)]
    return head + (f"?{'&'.join(kept)}" if kept else "") + space + rest


# Section 4.1: Vary


def vary_names(response: Fields) -> tuple[str, ...] | None:
    """Read Vary as lower-cased field names; None when it holds `*`, which nothing ever matches."""
    names = [name for line in response.lines("vary") for name in tokens(line)]
    return None if "*" in names else tuple(dict.fromkeys(names))


def selecting(names: Sequence[str], request: Fields) -> Selecting:
    """Give the request's values of the fields that Vary names, normalised so that equals in meaning are equal."""
    return tuple((name, normalise(name, request)) for name in names)


def normalise(name: str, request: Fields) -> str:
    """Normalise one field's value; an absent field differs from every present one."""
    value = request.get(name)
    if value is None:
        return "-"
    return "=" + _NORMALISERS.get(name, _plain)(value)


def _plain(value: str) -> str:
    return ",".join(split_list(value))


def _weighted(value: str, alias: dict[str, str]) -> str:
    """Write weights in one order: members of the same weight are equally welcome wherever they stand."""
    weights = {alias.get(name, name): weight for name, weight in reversed(parse_weights(value))}
    return ",".join(f"{name};{weight:g}" for name, weight in sorted(weights.items()))


def _accept_encoding(value: str) -> str:
    return _weighted(value, {"x-gzip": "gzip", "x-compress": "compress"})  # RFC 9110, section 8.4.1


def _accept_language(value: str) -> str:
    return _weighted(value, {})


_NORMALISERS: dict[str, Callable[[str], str]] = {
    "accept-encoding": _accept_encoding,
    "accept-language": _accept_language,
}


def matches(stored: Selecting, response: Fields, request: Fields) -> bool:
    """Say whether a request selects the response that was stored for the fields `stored`."""
    return all(
        normalise(name, request) == value or (name == "accept-language" and _speaks(response, request))
        for name, value in stored
    )


def _speaks(response: Fields, request: Fields) -> bool:
    """Say whether the stored response is in the one language the request likes best.

    Whatever else the request lists, a server that has this language would choose it.
    """
    languages = tokens(response.get("content-language"))
    weights = sorted(parse_weights(request.get("accept-language") or ""), key=lambda weight: -weight[1])
    if len(languages) != 1 or not weights or weights[0][1] == 0:
        return False
    alone = len(weights) == 1 or weights[0][1] > weights[1][1]
    return alone and weights[0][0] == languages[0]
