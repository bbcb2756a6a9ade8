"""The hosts in `inspect_hosts`, and the decision to decrypt a connection or leave it untouched. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from fnmatch import fnmatchcase

from proxy_policies.addresses import is_address

EXAMPLES = "write a glob such as *.example.com, example.com:8443, !pay.example.com or *"
_REGEX_SIGNS = frozenset("\\^$(|")
_IPV6 = re.compile(r"\[([0-9a-f:.%*?]*:[0-9a-f:.%*?]*)\](?::(.*))?")
_CLASS = re.compile(r"\[[^\[\]]+\]")
_PORT_GLOB = re.compile(r"(?=.*[*?])[0-9*?]+")


@dataclass(frozen=True, slots=True)
class Glob:
    """One value of inspect_hosts. Host and port are globs, the host in lower case."""

    host: str
    port: str = "*"
    excludes: bool = False

    def matches(self, host: str, port: int) -> bool:
        """Return whether a normalised host and its port match this glob."""
        return fnmatchcase(host, self.host) and fnmatchcase(str(port), self.port)


def parse_glob(text: str) -> Glob:
    """Return the glob in `host`, `host:port` or `!…`. Raise ValueError, with a suggestion if possible."""
    value = text.strip()
    mark, bare = value[: value.startswith("!")], value.removeprefix("!").strip()
    if not bare:
        raise ValueError(EXAMPLES)
    if _REGEX_SIGNS & set(bare) or bare.startswith(".*"):
        raise ValueError(f"{bare!r} is a regular expression{_suggest(mark, suggest_globs(bare))}")
    if "/" in bare:
        host = bare.partition("://")[2] or bare
        raise ValueError(f"{bare!r} is not a host{_suggest(mark, [host.partition('/')[0]])}")
    if re.search(r"[\s,;]", bare):
        raise ValueError(f"{bare!r} is more than one host; repeat the option for each")
    host, port = _split(mark, bare)
    return Glob(host, port, bool(mark))


def _split(mark: str, bare: str) -> tuple[str, str]:
    """Return host and port of a glob, the host normalised; an IPv6 address may lack its brackets."""
    if match := _IPV6.fullmatch(bare.lower()):
        host, port = match[1], match[2]
    elif bare.count(":") > 1 and "[" not in bare:
        host, port = bare, None
    else:
        host, colon, rest = bare.rpartition(":")
        host, port = (host, rest) if colon else (bare, None)
        if re.search(r"[\[\]]", _CLASS.sub("", host)):
            raise ValueError(f"{bare!r} has a [ without a ]{_suggest(mark, [re.sub(r'[][]', '', bare)])}")
    host = normalize(host)
    if not host or (port is not None and not _is_port(port)):
        raise ValueError(f"{bare!r} has no valid {'port' if host else 'host'}; {EXAMPLES}")
    return host, port or "*"


def _is_port(glob: str) -> bool:
    return 0 < int(glob) < 65536 if glob.isdecimal() and len(glob) < 6 else bool(_PORT_GLOB.fullmatch(glob))


def _suggest(mark: str, globs: list[str]) -> str:
    is_guess = globs and all(map(_is_glob, globs))
    return f"; write {' and '.join(mark + glob for glob in globs)}" if is_guess else f"; {EXAMPLES}"


def _is_glob(text: str) -> bool:
    """Return whether a suggestion is itself valid; as suggestions get shorter, the recursion ends."""
    try:
        parse_glob(text)
    except ValueError:
        return False
    return True


def suggest_globs(regex: str) -> list[str]:
    """Return the globs equivalent to a regular expression; empty if there are none."""
    text = re.sub(r"\((?:\?:)?\.[*+]\\?\.\)[?*]?", "*", regex)  # (.+\.)?example → *example
    group = re.fullmatch(r"(.*?)\((?:\?:)?([^()]*)\)(.*)", text)
    spread = [f"{group[1]}{one}{group[3]}" for one in group[2].split("|")] if group else text.split("|")
    globs = [_unescaped(one) for one in spread]
    return [] if any(re.search(r"[\\^$()|+{}]", glob) for glob in globs) else globs


def _unescaped(regex: str) -> str:
    return re.sub(r"\\([.\-:])", r"\1", re.sub(r"\.[*+]", "*", regex.strip().removeprefix("^").removesuffix("$")))


def normalize(host: str) -> str:
    """Return a host in the form for comparison: lower case, ASCII, no dot at its end."""
    text = host.strip().rstrip(".").lower()
    if text.isascii():
        return text
    try:
        return text.encode("idna").decode("ascii")
    except UnicodeError:
        return text


@dataclass(frozen=True, slots=True)
class Hosts:
    """The parsed value of inspect_hosts."""

    globs: tuple[Glob, ...] = ()

    def __bool__(self) -> bool:
        return any(not glob.excludes for glob in self.globs)

    def matches(self, host: str, port: int) -> bool:
        """Return whether a host is listed and not excluded; the order of globs does not matter."""
        hits = [glob for glob in self.globs if glob.matches(normalize(host), port)]
        return bool(hits) and not any(glob.excludes for glob in hits)

    def excludes(self, host: str, port: int) -> bool:
        """Return whether a host is excluded, whatever else lists it."""
        return any(glob.excludes and glob.matches(normalize(host), port) for glob in self.globs)


def parse_hosts(values: Sequence[str]) -> Hosts:
    """Return the hosts in the values of inspect_hosts. Raise ValueError."""
    return Hosts(tuple(parse_glob(value) for value in values))


class Protocol(Enum):
    """The protocol detected on a new connection."""

    NOTHING = auto()
    """Too little data to decide."""
    SERVER = auto()
    """The server sent data first."""
    TLS = auto()
    UNREADABLE = auto()
    """TLS by its first bytes, with a ClientHello that mitmproxy cannot read, though servers may."""
    HTTP = auto()
    OTHER = auto()


_REQUEST_LINE = re.compile(rb"[A-Z][A-Z-]{2,19} (/|\*|https?://)\S* HTTP/1\.[01]\r?", re.I)
_METHOD = re.compile(rb"[A-Z][A-Z-]{0,19}", re.I)
_LONGEST_LINE = 64 * 1024


def detect_http(data: bytes) -> Protocol:
    """Return whether data is HTTP/1, by the client's request line (RFC 9112, section 3): HTTP, OTHER or NOTHING yet."""
    line, newline, _ = data.partition(b"\n")
    if newline:
        return Protocol.HTTP if _REQUEST_LINE.fullmatch(line) else Protocol.OTHER
    method, _, target = line.partition(b" ")
    is_possible = not method or (_METHOD.fullmatch(method) and target[:1] in b"/*hH" and len(line) < _LONGEST_LINE)
    return Protocol.NOTHING if is_possible else Protocol.OTHER


class Action(Enum):
    """The treatment of a connection."""

    OPEN = auto()
    """mitmproxy decrypts it."""
    UNTOUCHED = auto()
    WAIT = auto()
    """More data is needed to decide."""


@dataclass(frozen=True, slots=True)
class InspectionDecision:
    """The treatment of a connection, and its reason."""

    action: Action
    why: str
    worth_logging: bool = False
    """True if the decision may surprise a user who listed the host."""


NOT_LISTED = InspectionDecision(Action.UNTOUCHED, "not in inspect_hosts")


def decide(
    hosts: Hosts, host: str, port: int, seen: Protocol, sni: str | None = None, *, redirected: bool = False
) -> InspectionDecision:
    """Return the decision about a connection to `host`, a name or an address, given the protocol seen so far.

    If the host is a name, it must be listed, and so must the SNI; if it is an address, it or the SNI must be listed,
    and neither excluded. In a tunnel, everything else is untouched; on a connection `redirected` to us, plain HTTP is
    opened, too.
    """
    is_listed = hosts.matches(host, port)
    may_be_listed = is_listed or (bool(hosts) and is_address(host) and not hosts.excludes(host, port))
    if not may_be_listed and not redirected:
        return NOT_LISTED
    match seen:
        case Protocol.NOTHING:
            return InspectionDecision(Action.WAIT, "the client has not said enough")
        case Protocol.SERVER:
            return InspectionDecision(Action.UNTOUCHED, "the server speaks first")
        case Protocol.OTHER:
            return InspectionDecision(Action.UNTOUCHED, "neither TLS nor HTTP")
        case Protocol.HTTP if is_listed or redirected:
            return InspectionDecision(Action.OPEN, "listed" if is_listed else "plain HTTP")
        case Protocol.UNREADABLE if may_be_listed:  # mitmproxy refuses it: its server's name may be a listed one
            return InspectionDecision(Action.OPEN, "its ClientHello cannot be read")
        case Protocol.TLS if may_be_listed:
            return _decide_tls(hosts, host, port, sni)
    return NOT_LISTED


def why_untouched(hosts: Hosts, host: str, port: int) -> str:
    """Return why a tunnel to a host stays untouched whatever it carries; "" if that is uncertain."""
    decision = decide(hosts, host, port, Protocol.NOTHING)
    return decision.why if decision.action is Action.UNTOUCHED else ""


def _decide_tls(hosts: Hosts, host: str, port: int, sni: str | None) -> InspectionDecision:
    is_listed, is_sni_listed = hosts.matches(host, port), sni is not None and hosts.matches(sni, port)
    if is_listed and (sni is None or is_sni_listed or (is_address(host) and not hosts.excludes(sni, port))):
        return InspectionDecision(Action.OPEN, "listed")
    if is_sni_listed:
        return InspectionDecision(Action.OPEN, "its SNI is listed")
    return (
        InspectionDecision(Action.UNTOUCHED, f"its SNI {sni} is not in inspect_hosts", worth_logging=True)
        if is_listed
        else NOT_LISTED
    )


class PinnedHosts:
    """Hosts whose clients have recently rejected our certificate."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, int], float] = {}

    def note(self, host: str, port: int, now: float, ttl: float) -> None:
        """Add a host until `now + ttl`, in seconds; remove expired ones."""
        self._until = {key: until for key, until in self._until.items() if until > now}
        self._until[normalize(host), port] = now + ttl

    def contains(self, host: str, port: int, now: float) -> bool:
        """Return whether a host was added and has not expired."""
        return self._until.get((normalize(host), port), 0) > now
