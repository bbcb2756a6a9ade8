"""Fields that the proxy itself adds to a request, if a response may depend on them.

A client's own fields are part of the key only if `Vary` names them (RFC 9111, section 4.1). Fields that the proxy adds
must be, because Vary does not mention them: those of rules, and the client's URI if X-Forwarded-* or Forwarded declare
it, whether from a trusted balancer or from us.

The client's address is not part of the key. The origin of any shared cache does not know it, or knows only one of many
clients: an origin whose response depends on it must say `private` or `Vary: X-Forwarded-For`. nginx, Varnish, Squid and
Apache append X-Forwarded-For and do not key it either; otherwise every client would have its own cache.
"""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from proxy_policies.cache.rfc9111.key import normal_authority
from proxy_policies.fields import RawFields, split_list, unquote
from proxy_policies.hops.forwarding import USER_PREFIXES, USERS

URI_FIELDS = frozenset(
    {
        b"forwarded", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-scheme",
        b"x-forwarded-ssl", b"x-forwarded-prefix", b"x-forwarded-server", b"x-host", b"x-original-host",
        b"x-original-url", b"x-rewrite-url", b"x-url-scheme", b"front-end-https", b"x-http-method",
        b"x-http-method-override", b"x-method-override", b"x-http-host-override", b"x-original-uri",
        b"x-original-method", b"x-script-name", b"x-scheme", b"x-arr-ssl", b"cf-visitor", b"client-cert",
        b"client-cert-chain", *(name.encode() for name in USERS),
    }
)  # fmt: skip
"""Fields by which origins override a request's URI or method (Django, Rails, Symfony, IIS …), or identify a user
authenticated by the proxy in front of them."""
URI_PREFIXES = (
    *(b"x-forwarded-", b"x-remote-", b"x-ssl-client-", b"ssl-client-"),
    *(prefix.encode() for prefix in USER_PREFIXES),
)
ADDRESSES = frozenset({b"x-forwarded-for", b"x-remote-addr", b"x-remote-ip", b"x-remote-host"})
"""Fields with such a prefix that hold a client's address."""

NOT_KEYED = frozenset(
    {
        b"host", b"via", b"x-forwarded-for", b"connection", b"te", b"upgrade", b"content-length", b"transfer-encoding",
        b"expect", b"max-forwards", b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since",
        b"if-unmodified-since",
    }
)  # fmt: skip
"""Fields already in the key, about one hop or the path, or conditions that the cache evaluates."""


_FOLDED = bytes(code if bytes([code]).isalnum() else ord("-") for code in range(256)).lower()


class KeyParts(NamedTuple):
    """What the key contains of the client's request anyway: a field that repeats it adds nothing."""

    scheme: str
    authority: str
    """Normalised."""
    address: str


@lru_cache(maxsize=64)  # a client's requests usually have the same fields
def own_fields(received: RawFields, sent: RawFields, parts: KeyParts, *, states_uri: bool) -> str:
    """Return a digest of the information that the proxy adds in the fields it sends; empty if there is none.

    `states_uri`: the origin trusts URI_FIELDS and similar ones, as in reverse mode.
    """
    ours = _added(received, sent)
    if states_uri or any(name in (b"x-forwarded-for", b"forwarded") for name, _ in ours):
        ours = [line for line in ours if not _states_uri(line[0])]
        ours += [(name, value) for given, value in sent if _states_uri(name := _folded(given))]
    keyed = tuple([line for line in ours if line[0] not in NOT_KEYED])
    return _digest(keyed, parts) if keyed else ""


def _added(received: RawFields, sent: RawFields) -> list[tuple[bytes, bytes]]:
    """Return the lines sent but not received, with folded names; a line received once and sent twice was added once."""
    if len(set(sent)) == len(sent):  # no duplicates, as usual
        known = set(received)
        return [(_folded(line[0]), line[1]) for line in sent if line not in known]
    left, ours = Counter(received), []
    for line in sent:
        if left[line]:
            left[line] -= 1
        else:
            ours.append((_folded(line[0]), line[1]))
    return ours


def _states_uri(name: bytes) -> bool:
    return name in URI_FIELDS or (name.startswith(URI_PREFIXES) and name not in ADDRESSES)


def _folded(name: bytes) -> bytes:
    """Fold a field name as CGI does: `X_Forwarded_Host` and `X.Forwarded.Host` become X-Forwarded-Host."""
    return name.translate(_FOLDED)


@lru_cache(maxsize=256)
def _digest(lines: RawFields, parts: KeyParts) -> str:
    """Digest field lines, because a rule may add a secret, which must not be readable in a key."""
    kept = list(filter(None, (_line_for_key(name, value, parts) for name, value in lines)))
    return blake2b(b"\n".join(kept), digest_size=16).hexdigest() if kept else ""


def _line_for_key(name: bytes, value: bytes, parts: KeyParts) -> bytes:
    """Return the information in a line other than the client's URI and address; empty if none."""
    match name:
        case b"x-forwarded-host" if normal_authority(parts.scheme, value) == parts.authority:
            return b""
        case b"x-forwarded-proto" if value.lower() == parts.scheme.encode():
            return b""
        case b"forwarded":
            value = _forwarded(value, parts)
        case _ if name not in URI_FIELDS and parts.address:
            value = value.replace(parts.address.encode(), b"{client_ip}")
    return b"%s:%s" % (name, value) if value else b""


def _forwarded(value: bytes, parts: KeyParts) -> bytes:
    """Return the elements of Forwarded (RFC 7239, section 4) without addresses and repetitions of the URI."""
    elements = (_element(element, parts) for element in split_list(value.decode("latin-1")))
    return ", ".join(filter(None, elements)).encode("latin-1")


def _element(element: str, parts: KeyParts) -> str:
    pairs = [(name.strip().lower(), unquote(text.strip())) for name, _, text in _pairs(element)]
    kept = [f"{name}={text}" for name, text in pairs if name not in ("for", "by") and not _repeats(name, text, parts)]
    return ";".join(kept)


def _pairs(element: str) -> Iterable[tuple[str, str, str]]:
    return (pair.partition("=") for pair in element.split(";"))


def _repeats(name: str, text: str, parts: KeyParts) -> bool:
    if name == "host":
        return normal_authority(parts.scheme, text.encode("latin-1", "replace")) == parts.authority
    return name == "proto" and text.lower() == parts.scheme
