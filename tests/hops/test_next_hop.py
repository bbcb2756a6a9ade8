"""What becomes of a message's fields on their way through the proxy."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.fields import TOKEN, Fields, RawFields
from proxy_policies.hops.forwarding import ClientInfo, Style
from proxy_policies.hops.next_hop import (
    END_TO_END,
    HOP_BY_HOP,
    Hop,
    PassedOn,
    instance_name,
    lists_in_via,
    parse_via_name,
    request_for_next_hop,
    request_passed_on,
    response_for_next_hop,
    with_via,
)

type Lines = list[tuple[str, str]]


@dataclass
class Request:
    id: str
    before: Lines
    after: Lines = field(default_factory=list)
    to_proxy: bool = False
    version: str = "HTTP/1.1"


REQUESTS = [
    Request("nothing to do", [("Host", "x"), ("Accept", "*/*")], [("Host", "x"), ("Accept", "*/*")]),
    Request("keep-alive", [("Connection", "keep-alive"), ("Keep-Alive", "timeout=5"), ("A", "b")], [("A", "b")]),
    Request("curl to a proxy", [("Proxy-Connection", "Keep-Alive"), ("A", "b")], [("A", "b")]),
    Request("named fields", [("connection", "X-A, x-b"), ("x-a", "1"), ("X-B", "2"), ("X-C", "3")], [("X-C", "3")]),
    Request("several Connection lines", [("Connection", "X-A"), ("CONNECTION", "X-B"), ("X-A", "1"), ("X-B", "2")]),
    Request(
        "framing must not be named",
        [("Connection", "Host, Content-Length, Transfer-Encoding"), ("Host", "x"), ("Content-Length", "1")],
        [("Host", "x"), ("Content-Length", "1")],
    ),
    Request("transfer-encoding stays", [("Transfer-Encoding", "chunked")], [("Transfer-Encoding", "chunked")]),
    Request("credentials for the proxy", [("Proxy-Authorization", "Basic eDp5")]),
    Request(
        "credentials for the next proxy",
        [("Proxy-Authorization", "Basic eDp5")],
        [("Proxy-Authorization", "Basic eDp5")],
        to_proxy=True,
    ),
    Request("credentials for the origin", [("Authorization", "Basic eDp5")], [("Authorization", "Basic eDp5")]),
    Request(
        "websocket",
        [("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
        [("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket"), ("Connection", "Upgrade")],
    ),
    Request("upgrade not asked for rightly", [("Upgrade", "websocket")]),
    Request("upgrade over HTTP/1.0", [("Connection", "Upgrade"), ("Upgrade", "websocket")], version="HTTP/1.0"),
    Request("h2c", [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AA")]),
    Request("TLS upgrade", [("Connection", "Upgrade"), ("Upgrade", "TLS/1.2, HTTP/1.1")]),
    Request("trailers", [("Connection", "TE"), ("TE", "Trailers, gzip")], [("TE", "trailers"), ("Connection", "TE")]),
    Request("trailers over HTTP/2", [("te", "trailers")], [("TE", "trailers")], version="HTTP/2.0"),
    Request("transfer codings", [("Connection", "TE"), ("TE", "gzip, deflate;q=0.5")]),
]


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.id)
def test_request(case: Request) -> None:
    passed = request_for_next_hop(Fields.of(*case.before), to_proxy=case.to_proxy, http_version=case.version)
    assert list(passed) == case.after


@dataclass
class Response:
    id: str
    before: Lines
    after: Lines = field(default_factory=list)
    status: int = 200
    from_proxy: bool = False


RESPONSES = [
    Response("close", [("Connection", "close"), ("A", "b")], [("A", "b")]),
    Response("named fields", [("Connection", "X-A"), ("X-A", "1"), ("A", "b")], [("A", "b")]),
    Response(
        "what a cache must see",
        [("Connection", "Cache-Control"), ("Cache-Control", "no-store")],
        [("Cache-Control", "no-store")],
    ),
    Response(
        "websocket",
        [("Upgrade", "websocket"), ("Connection", "upgrade"), ("Sec-WebSocket-Accept", "x")],
        [("Sec-WebSocket-Accept", "x"), ("Connection", "Upgrade"), ("Upgrade", "websocket")],
        101,
    ),
    Response(
        "what a response is understood by",
        [
            ("Vary", "A"),
            ("Expires", "0"),
            ("Content-Encoding", "br"),
            ("Connection", "vary, expires, content-encoding"),
        ],
        [("Vary", "A"), ("Expires", "0"), ("Content-Encoding", "br")],
    ),
    Response("offer of h2c", [("Upgrade", "h2,h2c"), ("Connection", "Upgrade")]),
    Response("upgrade required", [("Upgrade", "a")], [("Connection", "Upgrade"), ("Upgrade", "a")], 426),
    Response("an origin's challenge for us", [("Proxy-Authenticate", "Basic"), ("A", "b")], [("A", "b")], 407),
    Response(
        "the next proxy's challenge", [("Proxy-Authenticate", "Basic")], [("Proxy-Authenticate", "Basic")], 407, True
    ),
]


@pytest.mark.parametrize("case", RESPONSES, ids=lambda case: case.id)
def test_response(case: Response) -> None:
    passed = response_for_next_hop(Fields.of(*case.before), case.status, from_proxy=case.from_proxy)
    assert list(passed) == case.after


names = st.from_regex(TOKEN, fullmatch=True) | st.sampled_from([*HOP_BY_HOP, *END_TO_END])
lines = st.lists(st.tuples(names, st.text("ab, ", max_size=4)), max_size=6)


@given(lines, st.lists(names, max_size=4))
def test_nothing_that_connection_names_goes_on(before: Lines, listed: list[str]) -> None:
    fields = Fields.of(*before, ("Connection", ", ".join(listed)))
    gone = {name.lower() for name in listed} - END_TO_END | set(HOP_BY_HOP)
    kept = [(name, value) for name, value in fields if name.lower() not in gone]
    assert set(response_for_next_hop(fields, 200, from_proxy=True)) <= set(kept)
    assert not gone & {name.lower() for name, _ in response_for_next_hop(fields, 200, from_proxy=False)}


@given(lines, st.sampled_from(["HTTP/1.0", "HTTP/1.1", "HTTP/2.0"]))
def test_a_second_pass_changes_nothing(before: Lines, version: str) -> None:
    once = request_for_next_hop(Fields.of(*before), to_proxy=False, http_version=version)
    assert request_for_next_hop(once, to_proxy=False, http_version=version) == once


@pytest.mark.parametrize("name", ["", "proxy.example", "proxy.example:8080", "my_proxy", "Ours"])
def test_parse_via_name(name: str) -> None:
    assert parse_via_name(name) == name


def test_auto_is_this_instance() -> None:
    assert parse_via_name("auto") == instance_name()
    assert parse_via_name(instance_name()) == instance_name()


@pytest.mark.parametrize("name", ["my proxy", "a,b", "a:b", "[::1]", "é", "a:8080:1", "x\r\ny", "(x)"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"write a name such as proxy\.example"):
        parse_via_name(name)


@pytest.mark.parametrize(
    ("before", "version", "after"),
    [
        ([], "HTTP/1.1", "1.1 us"),
        (["1.0 fred"], "HTTP/1.0", "1.0 fred, 1.0 us"),
        (["1.0 fred", "1.1 p.example.net"], "HTTP/2.0", "1.0 fred, 1.1 p.example.net, 2.0 us"),
    ],
)
def test_with_via(before: list[str], version: str, after: str) -> None:
    assert with_via(Fields.of(*(("via", line) for line in before)), "us", version).lines("Via") == [after]


@pytest.mark.parametrize(
    ("via", "passed"),
    [
        ("1.1 us", True),
        ("1.1 other, HTTP/1.1 US (mitmproxy, ours)", True),
        ("1.1 other (us)", False),
        ("1.1 us:8080", False),
        ("us", False),
        ("1.1 bus", False),
        ("", False),
    ],
)
def test_has_passed(via: str, passed: bool) -> None:
    assert lists_in_via(Fields.of(("Via", via)), "us") is passed
    assert not lists_in_via(Fields(), "us")


names = st.from_regex(TOKEN, fullmatch=True)


@given(st.lists(names, max_size=4), names)
def test_only_the_added_name_is_found(before: list[str], name: str) -> None:
    fields = Fields()
    for other in before:
        fields = with_via(fields, other, "HTTP/1.1")
    assert lists_in_via(fields, name) is (name.lower() in [other.lower() for other in before])
    assert lists_in_via(with_via(fields, name, "HTTP/1.1"), name)


HOP = Hop(
    method="GET",
    http_version="HTTP/1.1",
    to_proxy=False,
    via_name="us",
    is_resent=False,
    sender=None,
    style=Style.NONE,
    is_trusted=False,
    claims=None,
)
REVERSE = HOP._replace(sender=ClientInfo("192.0.2.7", "example", "https"), style=Style.X_FORWARDED, claims=())
VIA = ("Via", "1.1 us")
FORWARDED = (("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "example"))


def _raw(*lines: tuple[str, str]) -> RawFields:
    return Fields.of(*lines).raw


@dataclass(frozen=True)
class Case:
    id: str
    hop: Hop
    fields: tuple[tuple[str, str], ...]
    passed: tuple[tuple[str, str], ...]
    removed: tuple[str, ...] = ()
    is_loop: bool = False


CASES = [
    Case("signed", HOP, (("Accept", "*/*"),), (("Accept", "*/*"), VIA)),
    Case("no name", HOP._replace(via_name=""), (("Accept", "*/*"),), (("Accept", "*/*"),)),
    Case("older", HOP._replace(http_version="HTTP/1.0"), (), (("Via", "1.0 us"),)),
    Case("after others", HOP, (("Via", "1.0 a"),), (("Via", "1.0 a, 1.1 us"),)),
    Case("named by Connection", HOP, (("Connection", "X-A, close"), ("X-A", "1")), (VIA,), removed=("x-a",)),
    Case("our credentials", HOP, (("Proxy-Authorization", "Basic x"),), (VIA,)),
    Case(
        "the next proxy's credentials",
        HOP._replace(to_proxy=True),
        (("Proxy-Authorization", "Basic x"),),
        (("Proxy-Authorization", "Basic x"), VIA),
    ),
    Case("whom it is from", REVERSE, (), (*FORWARDED, VIA)),
    Case("a claim", REVERSE, (("X-Real-IP", "10.0.0.1"), ("X-Forwarded-For", "10.0.0.1")), (*FORWARDED, VIA)),
    Case(
        "a trusted claim",
        REVERSE._replace(claims=None, is_trusted=True),
        (("X-Real-IP", "10.0.0.1"), ("X-Forwarded-Host", "inner")),
        (
            *(("X-Real-IP", "10.0.0.1"), ("X-Forwarded-Host", "inner")),
            *(("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https"), VIA),
        ),
    ),
    Case("a claim of the user's list", REVERSE._replace(claims=("x-user",)), (("X_User", "root"),), (*FORWARDED, VIA)),
    Case("resent", REVERSE._replace(is_resent=True), (*FORWARDED, VIA), (*FORWARDED, VIA)),
    Case("resent the first time", REVERSE._replace(is_resent=True), (("X-Real-IP", "a"),), (("X-Real-IP", "a"), VIA)),
    Case("loop", HOP, (("Via", "1.1 other, 1.1 us"),), (("Via", "1.1 other, 1.1 us"),), is_loop=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_passed_on(case: Case) -> None:
    expected = PassedOn(Fields.of(*case.passed), case.removed, case.is_loop)
    assert request_passed_on(_raw(*case.fields), case.hop) == expected
    assert request_passed_on(_raw(*case.fields), case.hop) == expected, "the same again"


def test_what_differs_in_anything_is_passed_on_by_itself() -> None:
    fields = _raw(("Accept", "*/*"))
    answers = {request_passed_on(fields, hop).fields for hop in (HOP, REVERSE, HOP._replace(via_name="them"))}
    assert len(answers) == 3


def test_lines_of_an_addon_that_are_lists() -> None:
    lines: RawFields = ([b"Accept", b"*/*"],)  # type: ignore[assignment]
    assert request_passed_on(lines, HOP).fields.get("via") == "1.1 us"
