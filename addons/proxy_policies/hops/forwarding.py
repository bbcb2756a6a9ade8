"""Client information for origins: Forwarded (RFC 7239) and the X-Forwarded-* fields before it."""

from collections.abc import Sequence
from enum import IntFlag, auto
from functools import lru_cache
from typing import NamedTuple

from proxy_policies.addresses import normalize_address
from proxy_policies.fields import TOKEN, Fields, RawFields, split_list

USERS = frozenset(
    {
        *("remote-user", "remote-name", "remote-email", "remote-groups"),  # Apache, Authelia
        *("cf-access-authenticated-user-email", "cf-access-jwt-assertion", "x-goog-iap-jwt-assertion"),
        *("x-pomerium-jwt-assertion", "x-credential-identifier", "x-credential-username", "x-anonymous-consumer"),
        *("x-apigateway-api-userinfo", "x-endpoint-api-userinfo"),
    }
)
"""Fields in which authenticating proxies name the client's user."""
USER_PREFIXES = (
    *("x-auth-request-", "x-webauth-", "x-authentik-", "x-vouch-"),  # oauth2-proxy, Grafana
    *("x-consumer-", "x-authenticated-"),  # Kong
    *("x-goog-authenticated-user-", "x-amzn-oidc-", "x-ms-client-principal", "tailscale-user-", "x-pomerium-claim-"),
)
"""Prefixes of more such fields."""

CLAIMS = USERS.union(
    {
        # The client's address
        *("forwarded", "forwarded-for", "x-forwarded", "x-original-forwarded-for", "x-real-ip", "x-client-ip"),
        *("client-ip", "remote-addr", "x-originating-ip", "x-cluster-client-ip", "x-true-client-ip", "x-user-ip"),
        *("true-client-ip", "true-client-port", "forwarded-for-ip", "x-forward-for", "x-custom-ip-authorization"),
        *("x-original-remote-addr", "x-ip", "real-ip", "source-ip", "x-source-ip", "cluster-client-ip"),
        *("proxy-client-ip", "wl-proxy-client-ip", "x-proxyuser-ip", "http-client-ip", "x-http-client-ip"),
        *("fly-client-ip", "do-connecting-ip", "incap-client-ip", "x-sucuri-clientip", "x-nf-client-connection-ip"),
        *("x-akamai-edgescape", "x-vercel-forwarded-for", "ali-cdn-real-ip"),
        # Its certificate (RFC 9440, section 4)
        *("client-cert", "client-cert-chain", "x-client-cert", "ssl-client-cert", "x-ssl-cert", "x-arr-clientcert"),
        *("x-client-verify", "x-client-dn"),
        # The scheme it used
        *("front-end-https", "x-scheme", "x-url-scheme", "x-arr-ssl", "https", "x-https", "x-proto"),
        # Overrides of the target and Host
        *("x-original-url", "x-original-uri", "x-original-host", "x-original-method", "x-rewrite-url"),
        *("x-host", "x-http-host-override", "x-script-name"),
        # Work claimed to be done already: Next.js then skips its middleware (CVE-2025-29927)
        "x-middleware-subrequest",
        # How the proxy sends files (Rack::Sendfile)
        *("x-accel-mapping", "x-sendfile-type"),
        # The proxy that a CGI program should use (CVE-2016-5385)
        "proxy",
    }
)
"""Fields that only the proxy in front may set, and origins trust: names of nginx, Apache, IIS and CDNs."""
CLAIM_PREFIXES = (
    *("x-forwarded-", "x-remote-", "x-ssl-client-", "ssl-client-", "x-amzn-mtls-"),
    *("cf-connecting-", "cf-ip", "cf-pseudo-", "cf-visitor", "cloudfront-", "fastly-client", "fastly-ssl"),  # CDNs
    *("x-azure-", "x-appengine-", "x-envoy-"),  # Azure Front Door, App Engine, Envoy
    *USER_PREFIXES,
)
METHOD_OVERRIDES = frozenset({"x-http-method-override", "x-http-method", "x-method-override"})
"""Frameworks follow them on a POST; with other methods they would only make a response disagree with its cache key."""

_FOLDED = bytes(ord(chr(code).lower()) if chr(code).isalnum() and code < 128 else ord("-") for code in range(256))
"""CGI, WSGI and PHP map names that differ in case and punctuation to one variable: `X_Real_IP` is X-Real-IP."""


class Style(IntFlag):
    """Which fields to write."""

    NONE = 0
    FORWARDED = auto()
    X_FORWARDED = auto()
    BOTH = FORWARDED | X_FORWARDED


class ClientInfo(NamedTuple):
    """The client's address, the requested Host, and the scheme it used."""

    address: str
    host: str | None
    proto: str


def folded(name: bytes) -> str:
    """Return a field name in a form in which names that CGI does not distinguish are equal."""
    return name.translate(_FOLDED).decode()


def without_claims(fields: Fields, method: str, more: tuple[str, ...] = ()) -> Fields:
    """Remove fields that a client may not set; `more`: further names, from `parse_names`."""
    forbidden, prefixes = _forbidden(method == "POST", more)
    kept = [line for line in fields.raw if not ((name := folded(line[0])) in forbidden or name.startswith(prefixes))]
    return fields if len(kept) == len(fields.raw) else Fields(kept)


@lru_cache(maxsize=8)
def _forbidden(is_post: bool, more: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the names, and prefixes of names, to remove."""
    exact = CLAIMS.union(name for name in more if not name.endswith("*"))
    prefixes = (*CLAIM_PREFIXES, *(name.removesuffix("*") for name in more if name.endswith("*")))
    return exact if is_post else exact | METHOD_OVERRIDES, prefixes


def parse_names(texts: Sequence[str]) -> tuple[str, ...]:
    """Parse and fold field names, each optionally ending with `*`. Raise ValueError."""
    names = [name for text in texts for name in split_list(text)]
    for name in names:
        if not TOKEN.fullmatch(name.removesuffix("*")):
            raise ValueError(f"{name!r} is not a field name; write names such as X-User or X-Auth-*")
    return tuple(folded(name.removesuffix("*").encode()) + "*" * name.endswith("*") for name in names)


def with_forwarded(fields: Fields, sender: ClientInfo, style: Style, *, trusted: bool) -> Fields:
    """Add the client to the forwarding fields; values from earlier hops are kept only for trusted clients."""
    if style is Style.NONE:
        return fields
    return _append_all(fields, sender, style) if trusted else Fields((*fields.raw, *_members(sender, style)))


@lru_cache(maxsize=64)
def _members(sender: ClientInfo, style: Style) -> RawFields:
    return _append_all(Fields(), sender, style).raw


def _append_all(fields: Fields, sender: ClientInfo, style: Style) -> Fields:
    if Style.FORWARDED in style:
        fields = _append_member(fields, "Forwarded", _element(sender))
    if Style.X_FORWARDED in style:
        fields = _append_member(fields, "X-Forwarded-For", normalize_address(sender.address))
        fields = _append_missing(fields, "X-Forwarded-Proto", sender.proto)
        fields = _append_missing(fields, "X-Forwarded-Host", sender.host)
    return fields


def _append_member(fields: Fields, name: str, member: str) -> Fields:
    return fields.replacing(name, ", ".join((*fields.lines(name), member)))


def _append_missing(fields: Fields, name: str, value: str | None) -> Fields:
    return fields if value is None or name in fields else fields.replacing(name, value)


def _element(sender: ClientInfo) -> str:
    """Return one forwarded-element (RFC 7239, section 4)."""
    address = normalize_address(sender.address)
    node = f"[{address}]" if ":" in address else address
    pairs = [("for", node), ("host", sender.host), ("proto", sender.proto)]
    return ";".join(f"{name}={_value(text)}" for name, text in pairs if text is not None)


def _value(text: str) -> str:
    if TOKEN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
