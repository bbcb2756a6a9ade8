"""What a mode of mitmproxy's does not do, no fast way does: every kind of first request, in every mode and lane."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from tests.support.first_requests import FIRST_REQUESTS, class_of, http
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, exchange_raw
from tests.support.waiting import free_port, wait_until

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("modes")]  # everything is said once

MODES = ("regular", "reverse:http", "reverse:https", "reverse:tcp", "reverse:tls", "upstream:http", "socks5")
SPEAK_HTTP = ("regular", "reverse:http", "reverse:https", "upstream:http")
LANES = ("off", "on")
SILENCE = 10.0  # seconds without a byte
PATIENCE = 100.0
BODY = b"a page"


Said = tuple[str, str, bool]
"""A mode, a kind of first request, and whether a page was asked for before."""
SAID = [(mode, kind, after) for mode in MODES for kind in FIRST_REQUESTS for after in (False, True)]
SAID = [said for said in SAID if not said[2] or (said[0] in SPEAK_HTTP and said[1] != "ClientHello")]


class Outcome(NamedTuple):
    """What came of something said to a proxy."""

    answer: str
    asked: str
    """The first request that reached the origin the proxy is for, or knows of."""
    dialled: bool
    """Whether another origin was connected to, or asked on a connection that there was."""


class Proxies:
    """One mitmdump that listens in every mode, and the origins within its reach."""

    def __init__(self, confdir: Path, tls: ssl.SSLContext, *arguments: str, script: str | None) -> None:
        self._plain, self._secure, self._other = Origin(), Origin(tls), Origin()
        for origin in (self._plain, self._secure):
            for path in ("/kept", f"http://{address(origin)}/kept"):  # the latter as an upstream proxy
                origin.route(path, Answer(headers=[("Cache-Control", "max-age=600")], body=BODY))
        self._ports = {mode: free_port() for mode in MODES}
        listening = [part for mode, port in self._ports.items() for part in ("--mode", f"{self._spec(mode)}@{port}")]
        self._process = Mitmdump(
            ["-q", "--set", "ssl_insecure=true", *arguments, *listening], confdir=confdir, script=script, wait=False
        )

    def _own(self, mode: str) -> Origin:
        return self._secure if mode in ("reverse:https", "reverse:tls") else self._plain

    def _spec(self, mode: str) -> str:
        return f"{mode}://{address(self._own(mode))}" if ":" in mode else mode

    def _dial(self, mode: str) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._ports[mode]), timeout=PATIENCE)

    def _ask_page(self, mode: str, sock: socket.socket) -> None:
        """Have a page answered that may come from the cache."""
        own = address(self._own(mode))
        prefix = "" if mode.startswith("reverse") else f"http://{own}"
        sock.sendall(http(f"GET {prefix}/kept HTTP/1.1", f"Host: {own}"))
        head = b""
        while not head.endswith(b"\r\n\r\n") and (byte := sock.recv(1)):
            head += byte
        assert head.startswith(b"HTTP/1.1 200 "), head
        assert sock.recv(len(BODY), socket.MSG_WAITALL) == BODY

    def _learn(self, mode: str) -> None:
        """Have a page asked for until it may be answered from the cache, by the fast lane, too."""
        for _ in range(3):
            with self._dial(mode) as sock:
                self._ask_page(mode, sock)

    def say(self, mode: str, kind: str, after: bool) -> Outcome:
        """Send something, first or after a request that was answered."""
        own, other = self._own(mode), self._other
        with self._dial(mode) as sock:
            if after:
                self._ask_page(mode, sock)
            asked, dialled = len(own.requests), self._count_dialled()
            sock.sendall(FIRST_REQUESTS[kind](address(own), address(other)))
            answer = read_answer(sock)
        request = next(
            (f"{one.method} {one.target}" for one in own.requests[asked:] if not one.target.endswith("/kept")), ""
        )
        named = request.replace(address(own), "OWN").replace(address(other), "OTHER")
        return Outcome(answer, named, self._count_dialled() > dialled + 2)

    def _count_dialled(self) -> int:
        """Count the other origin's connections and requests, this one's included: those before it have arrived."""
        exchange_raw(self._other.port, http("GET / HTTP/1.1", "Host: h", "Connection: close"))
        return self._other.accepted + len(self._other.requests)

    def say_everything(self) -> dict[Said, Outcome]:
        """Send everything in every mode."""
        wait_until(self._is_up, 60)
        for mode in SPEAK_HTTP:
            self._learn(mode)
        return {said: self.say(*said) for said in SAID}

    def _is_up(self) -> bool:
        for mode in MODES:
            try:
                self._dial(mode).close()
            except ConnectionRefusedError:
                return False
        return True

    def close(self) -> None:
        """End it all."""
        self._process.stop()
        for origin in (self._plain, self._secure, self._other):
            origin.close()


def address(origin: Origin) -> str:
    return f"127.0.0.1:{origin.port}"


def read_answer(sock: socket.socket) -> str:
    """Return the class of the response."""
    sock.settimeout(SILENCE)
    answer = b""
    try:
        while len(answer) < 12 and (data := sock.recv(65536)):
            answer += data
    except TimeoutError:
        return class_of(answer, ended=False)
    except ConnectionResetError:
        pass
    return class_of(answer, ended=True)


@dataclass
class Difference:
    """What we do otherwise than mitmproxy, and why."""

    kind: str
    """How the kinds of first request begin that it is about."""
    why: str
    answer: str | None = None
    """Ours, where that is what differs."""
    asked: str | None = None
    """What of ours reaches the origin or upstream proxy, where that differs."""
    modes: tuple[str, ...] = SPEAK_HTTP

    def covers(self, mode: str, kind: str, theirs: Outcome, ours: Outcome) -> bool:
        if mode not in self.modes or not kind.startswith(self.kind):
            return False
        answer = theirs.answer if self.answer is None else self.answer
        asked = theirs.asked if self.asked is None else self.asked
        return ours == theirs._replace(answer=answer, asked=asked)


DELIBERATE = [
    Difference("CONNECT, no authority", "a target that is none is refused (RFC 9112, section 3.2.3)", "HTTP 400"),
    Difference("GET *", "the asterisk is for OPTIONS (RFC 9112, section 3.2.4)", "HTTP 400", asked=""),
    Difference(
        "absolute form",
        "an origin is asked in origin form (RFC 9112, section 3.2.1)",
        asked="GET /page",
        modes=("reverse:http", "reverse:https"),
    ),
    Difference("HTTP/2 preface", "its major version is not ours (RFC 9110, section 15.6.6)", "HTTP 505"),
    Difference(
        "CONNECT, own",
        "2xx says that the tunnel is there: the upstream proxy is asked first (RFC 9110, section 9.3.6)",
        asked="CONNECT OWN",
        modes=("upstream:http",),
    ),
    Difference(
        "CONNECT",
        "2xx says that the tunnel is there: the upstream proxy is asked first (RFC 9110, section 9.3.6)",
        asked="CONNECT OTHER",
        modes=("upstream:http",),
    ),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, ca: trustme.CA) -> dict[str, dict[Said, Outcome]]:
    """Send everything to mitmproxy alone ("stock"), and to ours with every `fast_lane`."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        told = {}
        for name in ("stock", *LANES):
            lane = () if name == "stock" else ("--set", f"fast_lane={name}")
            script = None if name == "stock" else "policy.py"
            proxies = Proxies(tmp_path_factory.mktemp(name), tls, *lane, script=script)
            stack.callback(proxies.close)
            told[name] = pool.submit(proxies.say_everything)
        return {name: future.result() for name, future in told.items()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lane", LANES)
def test_a_mode_does_what_mitmproxys_does(outcomes: dict[str, dict[Said, Outcome]], lane: str, mode: str) -> None:
    unlike = {}
    for said in SAID:
        theirs, ours = outcomes["stock"][said], outcomes[lane][said]
        deliberate = any(difference.covers(mode, said[1], theirs, ours) for difference in DELIBERATE)
        if said[0] == mode and ours != theirs and not deliberate:
            unlike[said] = (theirs, ours)
    assert unlike == {}


def test_what_is_deliberate_is_so_still(outcomes: dict[str, dict[Said, Outcome]]) -> None:
    for difference in DELIBERATE:
        differing = (
            said
            for said in SAID
            if outcomes["stock"][said] != outcomes["on"][said]
            and difference.covers(*said[:2], outcomes["stock"][said], outcomes["on"][said])
        )
        assert any(differing), difference
