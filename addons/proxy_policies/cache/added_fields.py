"""What the proxy itself adds to a request about the client, as far as an answer may depend on it.

A client's own fields are in the key only where `Vary` names them (RFC 9111, section 4.1). What we say besides must be
there, for Vary says nothing of it: fields that a rule adds, and where the client's URI is said by X-Forwarded-*
or Forwarded, the URI that they say, a trusted balancer's or ours.

The client's address is not in the key. It is a fact of the connection, which the origin of any shared cache lacks or
knows for one of many clients only: one that answers by it says `private` or `Vary: X-Forwarded-For`. nginx, Varnish,
Squid and Apache append X-Forwarded-For and do not key it either; keyed, every client would have a cache of its own.
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
"""By what origins take a request to be for another URI or method than it is (Django, Rails, Symfony, IIS …), or to be
a user's whom the proxy in front of them has let in."""
URI_PREFIXES = (
    *(b"x-forwarded-", b"x-remote-", b"x-ssl-client-", b"ssl-client-"),
    *(prefix.encode() for prefix in USER_PREFIXES),
)
ADDRESSES = frozenset({b"x-forwarded-for", b"x-remote-addr", b"x-remote-ip", b"x-remote-host"})
"""What begins so and is about a client's address."""

NOT_KEYED = frozenset(
    {
        b"host", b"via", b"x-forwarded-for", b"connection", b"te", b"upgrade", b"content-length", b"transfer-encoding",
        b"expect", b"max-forwards", b"range", b"if-range", b"if-match", b"if-none-match", b"if-modified-since",
        b"if-unmodified-since",
    }
)  # fmt: skip
"""In the key already, about one hop or the way here, or a condition that the cache evaluates."""


_FOLDED = bytes(code if bytes([code]).isalnum() else ord("-") for code in range(256)).lower()


class Client(NamedTuple):
    """What the key says of the client's request anyway: a field that repeats it adds nothing."""

    scheme: str
    authority: str
    """Normalised."""
    address: str


@lru_cache(maxsize=64)  # a client's requests have the same fields, as a rule
def own_fields(received: RawFields, sent: RawFields, client: Client, *, states_uri: bool) -> str:
    """Return a digest of what the proxy says by itself in the fields it sends; empty where that is nothing new.

    `states_uri`: the origin goes by what URI_FIELDS and their like say, as in reverse mode.
    """
    ours = _added(received, sent)
    if states_uri or any(name in (b"x-forwarded-for", b"forwarded") for name, _ in ours):
        ours = [line for line in ours if not _states_uri(line[0])]
        ours += [(name, value) for given, value in sent if _states_uri(name := _folded(given))]
    keyed = tuple([line for line in ours if line[0] not in NOT_KEYED])
    return _digest(keyed, client) if keyed else ""


def _added(received: RawFields, sent: RawFields) -> list[tuple[bytes, bytes]]:
    """Return the lines sent that were not received, names folded; one sent twice was added once."""
    if len(set(sent)) == len(sent):  # none is there twice, as ever
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
    """Write a field name as CGI has it: `X_Forwarded_Host`, and `X.Forwarded.Host`, is X-Forwarded-Host there."""
    return name.translate(_FOLDED)


@lru_cache(maxsize=256)
def _digest(lines: RawFields, client: Client) -> str:
    """Digest field lines, of which one may be a secret that a rule adds: none of it may be read in a key."""
    kept = list(filter(None, (_line_for_key(name, value, client) for name, value in lines)))
    return blake2b(b"\n".join(kept), digest_size=16).hexdigest() if kept else ""


def _line_for_key(name: bytes, value: bytes, client: Client) -> bytes:
    """Write what one line says besides the client's URI and address; empty: nothing."""
    match name:
        case b"x-forwarded-host" if normal_authority(client.scheme, value) == client.authority:
            return b""
        case b"x-forwarded-proto" if value.lower() == client.scheme.encode():
            return b""
        case b"forwarded":
            value = _forwarded(value, client)
        case _ if name not in URI_FIELDS and client.address:
            value = value.replace(client.address.encode(), b"{client_ip}")
    return b"%s:%s" % (name, value) if value else b""


def _forwarded(value: bytes, client: Client) -> bytes:
    """Write the elements of Forwarded (RFC 7239, section 4) without addresses, and what only repeats the URI."""
    elements = (_element(element, client) for element in split_list(value.decode("latin-1")))
    return ", ".join(filter(None, elements)).encode("latin-1")


def _element(element: str, client: Client) -> str:
    pairs = [(name.strip().lower(), unquote(text.strip())) for name, _, text in _pairs(element)]
    kept = [f"{name}={text}" for name, text in pairs if name not in ("for", "by") and not _repeats(name, text, client)]
    return ";".join(kept)


def _pairs(element: str) -> Iterable[tuple[str, str, str]]:
    return (pair.partition("=") for pair in element.split(";"))


def _repeats(name: str, text: str, client: Client) -> bool:
    if name == "host":
        return normal_authority(client.scheme, text.encode("latin-1", "replace")) == client.authority
    return name == "proto" and text.lower() == client.scheme
