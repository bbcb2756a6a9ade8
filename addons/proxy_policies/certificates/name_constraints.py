"""Name constraints: the hosts for which clients accept an authority (RFC 5280, section 4.2.1.10). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_network

from cryptography import x509

Permitted = x509.DNSName | x509.IPAddress
EVERY_ADDRESS = tuple(map(ip_network, ("0.0.0.0/0", "::/0")))
NO_DOMAIN = "invalid"
"""A domain without hosts (RFC 6761, section 6.4): without any domain in the constraints, all would be permitted."""
_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.(?!-)[a-z0-9-]{1,63})*")
_NUMERIC = re.compile(r"[\d.]+")


def parse_permitted(text: str) -> Permitted:
    """Return the domain or network in a text. Raise ValueError."""
    domain = text.lower().removeprefix("*.")
    if _DOMAIN.fullmatch(domain) and not _NUMERIC.fullmatch(domain):
        return x509.DNSName(domain)
    try:
        return x509.IPAddress(ip_network(text))
    except ValueError:
        raise ValueError(f"{text!r} is not a domain such as example.com, or a network such as 10.0.0.0/8") from None


def only_for(permitted: Sequence[Permitted]) -> x509.NameConstraints:
    """Return the constraints to some domains, with their subdomains, and networks."""
    networks = [name.value for name in permitted if isinstance(name, x509.IPAddress)]
    is_only_networks = len(networks) == len(permitted)
    versions = {network.version for network in networks}
    others = [x509.IPAddress(network) for network in EVERY_ADDRESS if network.version not in versions]
    return x509.NameConstraints([*permitted, *([x509.DNSName(NO_DOMAIN)] if is_only_networks else [])], others or None)


def constraints_of(certificate: x509.Certificate) -> x509.NameConstraints | None:
    """Return an authority's constraints; None if it has none."""
    try:
        return certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def described(constraints: x509.NameConstraints | None) -> list[str]:
    """Return the permitted domains and networks as texts."""
    names = constraints.permitted_subtrees or () if constraints is not None else ()
    return [str(name.value) for name in names if isinstance(name, Permitted) and name.value != NO_DOMAIN]


def allows(constraints: x509.NameConstraints, name: x509.GeneralName) -> bool:
    """Return whether clients accept a certificate with this name."""
    permitted = [one for one in constraints.permitted_subtrees or () if type(one) is type(name)]
    return (not permitted or _is_in(name, permitted)) and not _is_in(name, constraints.excluded_subtrees or ())


def _is_in(name: x509.GeneralName, subtrees: Iterable[x509.GeneralName]) -> bool:
    return any(_is_within(name, subtree) for subtree in subtrees)


def _is_within(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
    if isinstance(name, x509.IPAddress) and isinstance(subtree, x509.IPAddress):
        return name.value in subtree.value  # type: ignore[operator] # a host's is an address, a subtree's a network
    if isinstance(name, x509.DNSName) and isinstance(subtree, x509.DNSName):
        return f".{name.value.lower()}".endswith(f".{subtree.value.lower().removeprefix('.')}")
    return False
