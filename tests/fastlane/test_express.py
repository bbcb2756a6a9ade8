"""The express lane and mitmproxy's layers say the same, ask the same hooks, and leave flows in the same state."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from mitmproxy import flow as flows
from mitmproxy import http
from mitmproxy.addons.next_layer import NextLayer
from tests.support.exchanges import METHODS, OK, OTHERS, PLAIN, RESPONSES
from tests.support.wire import Act, Said, Wire, mitmproxy

Step = Callable[[Wire], None]

MODES = {"reverse": "reverse:http://origin.test:8080", "regular": "regular"}


@pytest.fixture(scope="module")
def chooser() -> Iterator[NextLayer]:
    with mitmproxy() as chooser:
        yield chooser


def request(
    mode: str = "reverse",
    line: str = "GET /path?a=b HTTP/1.1",
    fields: str = "Host: origin.test:8080\r\nAccept: */*\r\n",
    body: bytes = b"",
) -> bytes:
    if mode == "regular":
        line = line.replace(" /", " http://origin.test:8080/", 1)
    return f"{line}\r\n{fields}\r\n".encode("latin-1") + body


def nothing(hook: str, flow: http.HTTPFlow) -> None:
    return None


def says(data: bytes) -> Step:
    return lambda wire: wire.client_says(data)


def answers(data: bytes) -> Step:
    return lambda wire: wire.origin_says(data)


@dataclass
class Play:
    """What happens on a connection that has carried an exchange before, and carries one after."""

    steps: list[Step]
    act: Act = nothing
    mode: str = "reverse"
    seen: list[list[Said]] = field(default_factory=list)

    def run(self, chooser: NextLayer, *, express: bool, may_go: bool = True) -> Wire:
        wire = Wire(chooser, nothing, mode=MODES[self.mode], express=express, may_go=may_go)
        usual = request(self.mode)
        before: list[Step] = [says(usual), answers(OK)]
        after: list[Step] = [Wire.resume, Wire.resume, says(usual), answers(OK), says(usual), answers(OK)]
        for number, step in enumerate([*before, *self.steps, *after, Wire.client_closes, Wire.resume]):
            wire._act = self.act if len(before) <= number < len(before) + len(self.steps) else nothing
            step(wire)
            self.seen.append(wire.take())
        return wire


def compare(chooser: NextLayer, steps: list[Step], act: Act = nothing, mode: str = "reverse") -> tuple[int, int]:
    """Run a play both ways; how many exchanges began on the express lane, and stayed there."""
    stock, ours = Play(steps, act, mode), Play(steps, act, mode)
    stock.run(chooser, express=False)
    tally = ours.run(chooser, express=True).tally
    for number, (expected, seen) in enumerate(zip(stock.seen, ours.seen, strict=True)):
        assert seen == expected, f"step {number}"
    return tally.begun, tally.through


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", PLAIN)
def test_plain_requests(chooser: NextLayer, case: str, mode: str) -> None:
    answer = OK if case != "head" else OK[:-2]
    assert compare(chooser, [says(request(mode, **PLAIN[case])), answers(answer)], mode=mode) == (3, 3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", OTHERS)
def test_other_requests(chooser: NextLayer, case: str, mode: str) -> None:
    """They go through the layers, and what follows them goes express again where the connection goes on."""
    begun, _ = compare(chooser, [says(request(mode, **OTHERS[case])), answers(OK)], mode=mode)
    assert begun <= 2 or (mode, case) == ("regular", "absolute")


@pytest.mark.parametrize("case", [*PLAIN, *OTHERS])
def test_requests_in_pieces(chooser: NextLayer, case: str) -> None:
    data = request(**(PLAIN | OTHERS)[case])
    for at in sorted({1, len(data) // 2, len(data) - 1}):
        compare(chooser, [says(data[:at]), says(data[at:]), answers(OK)])


def test_another_host(chooser: NextLayer) -> None:
    """A reverse proxy writes its origin's; for a proxy the target is what counts, and Host is mended by the layers."""
    for mode, expected in (("reverse", (3, 3)), ("regular", (2, 2))):
        other = says(request(mode, fields="Host: other.test\r\n"))
        assert compare(chooser, [other, answers(OK)], mode=mode) == expected


@pytest.mark.parametrize("mode", MODES)
def test_pipelined(chooser: NextLayer, mode: str) -> None:
    one, two = request(mode, "GET /1 HTTP/1.1"), request(mode, "GET /2 HTTP/1.1")
    compare(chooser, [says(one + two), answers(OK), answers(OK)], mode=mode)
    compare(chooser, [says(one), says(two), answers(OK), answers(OK)], mode=mode)
    compare(chooser, [says(one), says(two[:9]), answers(OK), says(two[9:]), answers(OK)], mode=mode)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", RESPONSES)
@pytest.mark.parametrize("mode", MODES)
def test_responses(chooser: NextLayer, case: str, method: str, mode: str) -> None:
    """Whole, and in pieces: the pieces are random, but the same in every run."""
    data, dice = RESPONSES[case], random.Random(case + method)
    ask = says(request(mode, **METHODS[method]))
    compare(chooser, [ask, answers(data)], mode=mode)
    compare(chooser, [ask, answers(data), Wire.origin_closes], mode=mode)
    for _ in range(3):
        cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.randrange(1, 5)))
        pieces = [
            piece for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if (piece := data[start:end])
        ]
        compare(chooser, [ask, *map(answers, pieces), Wire.origin_closes], mode=mode)


@pytest.mark.parametrize("case", ["plain", "empty", "keep-alive", "cookies", "204", "304"])
def test_plain_responses_stay_on_the_lane(chooser: NextLayer, case: str) -> None:
    assert compare(chooser, [says(request()), answers(RESPONSES[case])]) == (3, 3)


def test_a_large_body_that_comes_in_pieces(chooser: NextLayer) -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000)
    assert compare(chooser, [says(request()), answers(whole[:65_536]), answers(whole[65_536:])]) == (3, 3)


# What addons do


def _answer(flow: http.HTTPFlow) -> None:
    flow.response = http.Response.make(203, b"of an addon", {"X-Made": "here"})


def _replace(flow: http.HTTPFlow) -> None:
    flow.response = http.Response.make(418, b"another", {"Connection": "close"})


def _of(value: object, *names: str) -> Callable[[http.HTTPFlow], None]:
    def act(flow: http.HTTPFlow) -> None:
        owner: object = flow
        for name in names[:-1]:
            owner = getattr(owner, name)
        if owner is not None:
            setattr(owner, names[-1], value)

    return act


def _field(message: str, name: str, value: str) -> Callable[[http.HTTPFlow], None]:
    def act(flow: http.HTTPFlow) -> None:
        if owner := getattr(flow, message):
            owner.headers[name] = value

    return act


DEEDS: dict[str, Callable[[http.HTTPFlow], object]] = {
    "kill": lambda flow: flow.kill() if flow.killable else None,
    "error": _of(flows.Error("of an addon"), "error"),
    "answer": _answer,
    "replace": _replace,
    "no response": _of(None, "response"),
    "stream request": _of(True, "request", "stream"),
    "stream response": _of(True, "response", "stream"),
    "stream through": _of(lambda data: [data.upper(), data] if data else b"end", "response", "stream"),
    "another host": _of("elsewhere.test", "request", "host"),
    "another port": _of(8081, "request", "port"),
    "https": _of("https", "request", "scheme"),
    "via": _of(("http", ("proxy.test", 3128)), "server_conn", "via"),
    "another path": _of("/else where", "request", "path"),
    "another method": _of("HEAD", "request", "method"),
    "connect": _of("CONNECT", "request", "method"),
    "1.0": _of("HTTP/1.0", "request", "http_version"),
    "2.0": _of("HTTP/2.0", "request", "http_version"),
    "absolute": _of("x.test", "request", "authority"),
    "other body": _of(b"another body", "request", "raw_content"),
    "no body": _of(b"", "request", "raw_content"),
    "missing body": _of(None, "request", "raw_content"),
    "request trailers": _of(http.Headers(X="1"), "request", "trailers"),
    "chunked request": _field("request", "Transfer-Encoding", "chunked"),
    "closing request": _field("request", "Connection", "close"),
    "expectation": _field("request", "Expect", "100-Continue"),
    "another expectation": _field("request", "Expect", "a miracle"),
    "bad request field": _field("request", "X Y", "1"),
    "response body": _of(b"another body", "response", "raw_content"),
    "empty response": _of(b"", "response", "raw_content"),
    "missing response body": _of(None, "response", "raw_content"),
    "response trailers": _of(http.Headers(X="1"), "response", "trailers"),
    "chunked response": _field("response", "Transfer-Encoding", "chunked"),
    "gzip response": _field("response", "Transfer-Encoding", "gzip"),
    "closing response": _field("response", "Connection", "close"),
    "kept response": _field("response", "Connection", "keep-alive"),
    "wrong length": _field("response", "Content-Length", "1"),
    "bad response field": _field("response", "X Y", "1"),
    "no reason": _of("", "response", "reason"),
    "204": _of(204, "response", "status_code"),
    "150": _of(150, "response", "status_code"),
    "response 1.0": _of("HTTP/1.0", "response", "http_version"),
    "response 2.0": _of("HTTP/2.0", "response", "http_version"),
}
HOOKS = ("requestheaders", "request", "responseheaders", "response")


def doing(at: str, deed: str, *, slowly: bool = False) -> Act:
    def act(hook: str, flow: http.HTTPFlow) -> bool:
        if hook != at:
            return True
        DEEDS[deed](flow)
        return not slowly

    return act


def outcome(chooser: NextLayer, steps: list[Step], act: Act) -> None:
    """Compare; what mitmproxy's layers raise, where an addon does what it must not, they raise either way."""
    try:
        Play(steps, act).run(chooser, express=False)
    except Exception as error:
        with pytest.raises((type(error), AssertionError)):
            Play(steps, act).run(chooser, express=True)
    else:
        compare(chooser, steps, act)


@pytest.mark.parametrize("slowly", [False, True], ids=["at once", "slowly"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("hook", HOOKS)
def test_what_addons_do(chooser: NextLayer, hook: str, deed: str, method: str, slowly: bool) -> None:
    act = doing(hook, deed, slowly=slowly)
    ask = says(request(**METHODS[method]))
    later: list[Step] = [Wire.resume] if slowly else []
    outcome(chooser, [ask, *later, answers(OK), *later], act)
    outcome(chooser, [ask, *later, answers(OK[:-1]), answers(OK[-1:]), *later, Wire.origin_closes], act)


def test_answers_of_addons_stay_on_the_lane(chooser: NextLayer) -> None:
    for hook in ("requestheaders", "request"):
        assert compare(chooser, [says(request())], doing(hook, "answer")) == (3, 3)


# Who leaves, and when

ENDS: dict[str, Step] = {
    "client closes": Wire.client_closes,
    "origin closes": Wire.origin_closes,
    "client goes on": says(request(line="GET /more HTTP/1.1")),
    "client says something": says(b"G"),
    "origin says something": answers(b"X"),
    "origin answers": answers(OK),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("mode", MODES)
def test_events_between(chooser: NextLayer, end: str, method: str, mode: str) -> None:
    ask = says(request(mode, **METHODS[method]))
    what = ENDS[end]
    compare(chooser, [what], mode=mode)
    compare(chooser, [ask, what], mode=mode)
    compare(chooser, [ask, what, answers(OK)], mode=mode)
    compare(chooser, [ask, what, answers(OK), answers(OK)], mode=mode)
    compare(chooser, [ask, answers(OK[:9]), what, answers(OK[9:])], mode=mode)
    compare(chooser, [ask, answers(OK[:-1]), what, answers(OK[-1:])], mode=mode)
    compare(chooser, [ask, answers(OK), what, ask, answers(OK)], mode=mode)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("deed", ["kill", "answer", "another host", "stream response", "1.0"])
def test_events_while_a_hook_waits(chooser: NextLayer, hook: str, end: str, deed: str) -> None:
    act, what = doing(hook, deed, slowly=True), ENDS[end]
    for method in METHODS.values():
        ask = says(request(**method))
        outcome(chooser, [ask, what, Wire.resume, answers(OK), what, Wire.resume, answers(OK)], act)
        outcome(chooser, [ask, what, what, Wire.resume, answers(OK)], act)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens(chooser: NextLayer, seed: int) -> None:
    """Random walks, the same in every run: requests, answers, pieces of them, ends, and addons that do something."""
    dice = random.Random(seed)
    mode = dice.choice(list(MODES))
    asked = [request(mode, **case) for case in (PLAIN | OTHERS).values()]
    sane = [name for name in DEEDS if not name.startswith(("missing", "no response", "request trailers", "via"))]

    def step() -> list[Step]:
        data = dice.choice(asked if (is_asked := dice.random() < 0.5) else list(RESPONSES.values()))
        cut = dice.randrange(len(data)) if dice.random() < 0.2 else 0
        say = says if is_asked else answers
        return [say(piece) for piece in (data[:cut], data[cut:]) if piece]

    for _ in range(5):
        act = doing(dice.choice(HOOKS), dice.choice(sane), slowly=dice.random() < 0.3)
        steps = [one for _ in range(dice.randrange(2, 9)) for one in step()]
        if dice.random() < 0.5:
            steps.insert(dice.randrange(len(steps)), dice.choice(list(ENDS.values())))
        outcome(chooser, steps, act if dice.random() < 0.7 else nothing)


def test_an_origin_that_cannot_be_reached_again(chooser: NextLayer) -> None:
    def refuse(wire: Wire) -> None:
        wire.refuses = True

    compare(chooser, [Wire.origin_closes, refuse, says(request())])
    compare(chooser, [says(request()), refuse, Wire.origin_closes])


def test_others_see_that_an_exchange_is_under_way(chooser: NextLayer) -> None:
    """Who answers hits, or sends idle clients away, looks at the state of mitmproxy's side towards the client."""
    wire = Wire(chooser, nothing, mode=MODES["reverse"], express=True)
    for step in (says(request()), answers(OK), says(request())):
        step(wire)
    place = wire.place()
    assert wire.tally.begun == 1
    assert not place.is_idle()
    wire.origin_says(OK)
    assert place.is_idle()
    assert wire.tally.through == 1


def test_a_closed_gate(chooser: NextLayer) -> None:
    play = Play([says(request()), answers(OK)])
    assert play.run(chooser, express=True, may_go=False).tally.begun == 0
