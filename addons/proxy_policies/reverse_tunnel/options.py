"""The grammar of the tunnel's options: addresses, services, client listeners, permitted services. Pure.

    home       [NAME@]ADDRESS                        NAME: the required name in home's certificate
    address    PORT | HOST:PORT | [IPv6]:PORT        PORT alone is on 127.0.0.1; *:PORT listens on all addresses
    service    NAME=ADDRESS[,proxy]                  proxy: send the client's address by PROXY protocol v2
    listen     ADDRESS[,proxy]                       proxy: load balancers send the client's address by PROXY protocol
    client     ADDRESS=SERVICE[@WORK][,proxy]        proxy: likewise
    allow      WORK=SERVICE[,SERVICE…]               both may be globs; office=* permits office to offer anything

Every parser raises ValueError that says how to write a valid value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from proxy_policies.addresses import Address, format_target, parse_address
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.options.parsers import parse_duration, parse_size
from proxy_policies.reverse_tunnel.protocol.services import MAX_SERVICES, MAX_SPARES, NAME, Service

with lazy_imports():
    from proxy_policies.reverse_tunnel import limits


@dataclass(frozen=True)
class HomeAddress:
    """Home's address, and its name; "" if any home with a certificate of the tunnel's authority is accepted."""

    address: Address
    name: str = ""


@dataclass(frozen=True)
class CommandListener:
    """An address on which home listens for works; `proxy` if load balancers' connections begin with a PROXY header."""

    address: Address
    proxy: bool = False


@dataclass(frozen=True)
class ClientListener:
    """An address on which home listens for clients of a service; `work` is "" for any work. `proxy` as above."""

    address: Address
    service: str
    work: str = ""
    proxy: bool = False

    def __str__(self) -> str:
        """Return it in the form of the option."""
        return f"{self.service}@{self.work}" if self.work else self.service


def parse_target(text: str) -> Address:
    """Return an address with a host, and a port other than 0."""
    address = parse_address(text, "")
    if not address[0] or not address[1]:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return address


def parse_listen(text: str) -> CommandListener | None:
    """Return the address to listen on for works, from `*:9000` or `9000,proxy`; None for an empty text."""
    address, is_proxy = _split_flag(text, "HOST:PORT")
    return CommandListener(parse_address(address), is_proxy) if text.strip() else None


def _split_flag(text: str, form: str) -> tuple[str, bool]:
    """Return the text without `,proxy`, and whether it had that; `form` describes the rest, for errors."""
    rest, comma, flag = text.partition(",")
    if comma and flag.strip() != "proxy":
        raise ValueError(f"{text!r} is not {form} or {form},proxy")
    return rest, bool(comma)


def parse_home(text: str) -> HomeAddress | None:
    """Return home's address, and its required name, if any; None for an empty text."""
    name, at, address = text.strip().rpartition("@")
    return HomeAddress(parse_target(address), parse_name(name) if at else "") if address else None


def parse_name(text: str) -> str:
    """Return the name of a home, a work or a service."""
    if not NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a valid name; use lower-case letters, digits and hyphens")
    return text


def parse_services(specs: Iterable[str]) -> Mapping[str, Service]:
    """Return the services in `ssh=student00:22`, `wiki=10.0.0.5:80,proxy`, by name."""
    services: dict[str, Service] = {}
    for spec in specs:
        pair, is_proxy = _split_flag(spec, "NAME=HOST:PORT")
        name, equals, target = pair.partition("=")
        if not equals:
            raise ValueError(f"{spec!r} is not NAME=HOST:PORT or NAME=HOST:PORT,proxy")
        name = parse_name(name.strip())
        if name in services:
            raise ValueError(f"service {name} is listed twice")
        services[name] = Service(name, parse_target(target), is_proxy)
    if len(services) > MAX_SERVICES:
        raise ValueError(f"{len(services)} services are too many for one work; write {MAX_SERVICES} at most")
    return services


def parse_clients(specs: Iterable[str]) -> Mapping[Address, ClientListener]:
    """Return the listeners in `9001=ssh`, `127.0.0.1:9002=wiki@office`, `*:443=wiki,proxy`, by address."""
    client_listeners: dict[Address, ClientListener] = {}
    for spec in specs:
        pair, is_proxy = _split_flag(spec, "HOST:PORT=SERVICE@WORK")
        listen, equals, target = pair.partition("=")
        if not equals:
            raise ValueError(f"{spec!r} is not PORT=SERVICE or HOST:PORT=SERVICE@WORK")
        service, at, work = target.strip().partition("@")
        address = parse_address(listen)
        if address in client_listeners and address[1]:
            raise ValueError(f"{format_target(*address)} is listed twice")
        client_listeners[address] = ClientListener(
            address, parse_name(service), parse_name(work) if at else "", is_proxy
        )
    return client_listeners


@dataclass(frozen=True)
class Allowance:
    """The services that each work may offer; without rules, every authenticated work may offer anything."""

    rules: Sequence[tuple[str, str]] = ()

    def permits(self, work: str, service: str) -> bool:
        """Return whether this work may offer this service."""
        return not self.rules or any(fnmatchcase(work, w) and fnmatchcase(service, s) for w, s in self.rules)

    def permits_any(self, work: str) -> bool:
        """Return whether this work may offer anything at all."""
        return not self.rules or any(fnmatchcase(work, pattern) for pattern, _ in self.rules)


ALLOW_ALL = Allowance()
_GLOB = re.compile(r"[a-z0-9*?!\[\]-]+")
"""A glob that can match the name of a work or a service."""


def parse_allow(specs: Iterable[str]) -> Allowance:
    """Return the rules in `office=ssh,wiki`, `lab-*=*`."""
    rules = []
    for spec in specs:
        work, equals, services = spec.partition("=")
        names = [name.strip() for name in services.split(",")]
        if not equals or not all(map(_GLOB.fullmatch, [work.strip(), *names])):
            raise ValueError(f"{spec!r} is not WORK=SERVICE,SERVICE")
        rules += [(work.strip(), name) for name in names]
    return Allowance(tuple(rules))


def parse_internal(host: str) -> tuple[str, str] | None:
    """Return (service, work) from `SERVICE.WORK.internal`; None for any other host."""
    match host.lower().removesuffix(".").split("."):
        case [service, work, "internal"] if NAME.fullmatch(service) and NAME.fullmatch(work):
            return service, work
    return None


def parse_limits(text: str) -> limits.SessionLimits:
    """Return the limits in `service=100,client=10,rate=10m`, or some of them."""
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in ("service", "client", "rate") or not equals or name in found:
            raise ValueError("write service=SESSIONS,client=SESSIONS,rate=BYTES, or some of them")
        found[name] = parse_size(value)
    return limits.SessionLimits(**found)


def parse_heartbeat(text: str) -> float:
    """Return a heartbeat's interval in seconds."""
    seconds = parse_duration(text)
    if not 0.05 <= seconds <= 60:
        raise ValueError("write a duration from 50ms to 1m")
    return seconds


def parse_spares(text: str) -> int:
    """Return the number of data connections to keep ready."""
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_SPARES:
        raise ValueError(f"write a number from 0 to {MAX_SPARES}")
    return int(text)
