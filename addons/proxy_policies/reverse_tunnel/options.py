"""The grammar of the tunnel's options: addresses, services, client listeners, what a work may offer. Pure.

    home       [NAME@]ADDRESS                        NAME: what home's certificate must say
    address    PORT | HOST:PORT | [IPv6]:PORT        a bare PORT is on 127.0.0.1; *:PORT listens everywhere
    service    NAME=ADDRESS[,proxy]                  proxy: say the client's address by PROXY protocol v2
    listen     ADDRESS[,proxy]                       proxy: load balancers say by PROXY protocol whom it is from
    client     ADDRESS=SERVICE[@WORK][,proxy]        proxy: likewise
    allow      WORK=SERVICE[,SERVICE…]               both may be globs; office=* lets office offer anything

Every parser raises ValueError with what would be right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from proxy_policies.addresses import Address, format_target, parse_address
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.option_parsers import parse_duration, parse_size
from proxy_policies.reverse_tunnel.protocol.services import MAX_SERVICES, MAX_SPARES, Service, is_name

with lazy_imports():
    from proxy_policies.reverse_tunnel import limits


@dataclass(frozen=True)
class HomeAt:
    """Where home is, and its name; "" when any home of the tunnel's authority will do."""

    address: Address
    name: str = ""


@dataclass(frozen=True)
class CommandListener:
    """Where home listens for works; `proxy` when a load balancer's connections begin with a PROXY header there."""

    address: Address
    proxy: bool = False


@dataclass(frozen=True)
class ClientListener:
    """Where home listens for clients, and for which service; `work` is "" when any work will do. `proxy` as above."""

    address: Address
    service: str
    work: str = ""
    proxy: bool = False

    def __str__(self) -> str:
        """Write it as the option has it."""
        return f"{self.service}@{self.work}" if self.work else self.service


def parse_target(text: str) -> Address:
    """Read an address that must name a host and a port other than 0."""
    address = parse_address(text, "")
    if not address[0] or not address[1]:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return address


def parse_listen(text: str) -> CommandListener | None:
    """Read where to listen for works, `*:9000`, `9000,proxy`; nothing means nowhere."""
    address, is_proxy = _split_flag(text, "HOST:PORT")
    return CommandListener(parse_address(address), is_proxy) if text.strip() else None


def _split_flag(text: str, form: str) -> tuple[str, bool]:
    """Take `,proxy` off; `form` says how the rest is written."""
    rest, comma, flag = text.partition(",")
    if comma and flag.strip() != "proxy":
        raise ValueError(f"{text!r} is not {form} or {form},proxy")
    return rest, bool(comma)


def parse_home(text: str) -> HomeAt | None:
    """Read where home is, and who it must be, if that is said; nothing means that this is no work."""
    name, at, address = text.strip().rpartition("@")
    return HomeAt(parse_target(address), parse_name(name) if at else "") if address else None


def parse_name(text: str) -> str:
    """Read the name of a home, a work or a service."""
    if not is_name(text):
        raise ValueError(f"{text!r} is not a valid name; use lower-case letters, digits and hyphens")
    return text


def parse_services(specs: Iterable[str]) -> Mapping[str, Service]:
    """Read `ssh=student00:22`, `wiki=10.0.0.5:80,proxy`."""
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
    """Read `9001=ssh`, `127.0.0.1:9002=wiki@office`, `*:443=wiki,proxy`."""
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
    """Which work may offer what. Without rules every work that home has let in may offer anything."""

    rules: Sequence[tuple[str, str]] = ()

    def permits(self, work: str, service: str) -> bool:
        """Return whether this work may offer this service."""
        return not self.rules or any(fnmatchcase(work, w) and fnmatchcase(service, s) for w, s in self.rules)

    def knows(self, work: str) -> bool:
        """Return whether this work may offer anything at all."""
        return not self.rules or any(fnmatchcase(work, pattern) for pattern, _ in self.rules)


EVERYBODY = Allowance()


def parse_allow(specs: Iterable[str]) -> Allowance:
    """Read `office=ssh,wiki`, `lab-*=*`."""
    rules = []
    for spec in specs:
        work, equals, services = spec.partition("=")
        names = [name.strip() for name in services.split(",")]
        if not equals or not work.strip() or not all(names):
            raise ValueError(f"{spec!r} is not WORK=SERVICE,SERVICE")
        rules += [(work.strip(), name) for name in names]
    return Allowance(tuple(rules))


def parse_internal(host: str) -> tuple[str, str] | None:
    """Read (service, work) out of `SERVICE.WORK.internal`; None for any other host."""
    match host.lower().removesuffix(".").split("."):
        case [service, work, "internal"] if is_name(service) and is_name(work):
            return service, work
    return None


def parse_limits(text: str) -> limits.Limits:
    """Read `service=100,client=10,rate=10m`, or some of them."""
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in ("service", "client", "rate") or not equals or name in found:
            raise ValueError("write service=SESSIONS,client=SESSIONS,rate=BYTES, or some of them")
        found[name] = parse_size(value)
    return limits.Limits(**found)


def parse_heartbeat(text: str) -> float:
    """Read a heartbeat's interval in seconds."""
    seconds = parse_duration(text)
    if not 0.05 <= seconds <= 60:
        raise ValueError("write a duration from 50ms to 1m")
    return seconds


def parse_spares(text: str) -> int:
    """Read how many data connections to keep ready."""
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_SPARES:
        raise ValueError(f"write a number from 0 to {MAX_SPARES}")
    return int(text)
