"""HTTP/2 messages are held to what HTTP/1 messages are: requests 400 on their stream, answers 502."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest
from tests.support.h2_client import H2Client, Lines
from tests.support.mitmdump import Mitmdump
from tests.support.openings import connect, socks5
from tests.support.raw_origin import RawOrigin
from tests.support.socket_server import SocketServer


@pytest.fixture(scope="module")
def reverse(tmp_path_factory: pytest.TempPathFactory, raw_origin: RawOrigin) -> Iterator[Mitmdump]:
    running = Mitmdump(
        ["--set", "keep_host_header=true"], mode=f"reverse:{raw_origin.url}", confdir=tmp_path_factory.mktemp("confdir")
    )
    yield running
    running.stop()


@pytest.fixture
def client(reverse: Mitmdump) -> Iterator[H2Client]:
    running = H2Client(reverse.port)
    yield running
    running.close()


def request(**changes: bytes) -> Lines:
    """Return a plain request's lines, but for changed pseudo-fields."""
    parts = {"method": b"GET", "scheme": b"https", "authority": b"shop.test", "path": b"/"} | changes
    return [(f":{name}".encode(), value) for name, value in parts.items()]


BAD = {
    **{
        f"method {value!r}": request(method=value)
        for value in (b"GET /smug HTTP/1.1", b"", b"G:T", b"G\xe9T", b"G\x01T")
    },
    **{
        f"path {value!r}": request(path=value)
        for value in (b"/a b", b"/a\tb", b"/a\x01", b"/a\x7f", b"/c#x", b"http://h/", b"a", b"*")
    },
    **{
        f"authority {value!r}": request(authority=value)
        for value in (b"a b", b"u@h", b"<script>", b"a:b", b"h:99999", b"a/x", b":80")
    },
    "scheme": request(scheme=b"ftp"),
    "control in a value": [*request(), (b"x", b"a\x01b")],
    "no token as a name": [*request(), (b"x(y", b"a")],
    "length": [*request(method=b"POST"), (b"content-length", b"2, 3")],
    "a long length": [*request(method=b"POST"), (b"content-length", b"18446744073709551619")],
}


def test_a_bad_request_is_an_error_of_its_stream(reverse: Mitmdump, raw_origin: RawOrigin) -> None:
    wrong: list[tuple[str, object]] = []
    client = H2Client(reverse.port)
    for name, lines in BAD.items():
        asked = len(raw_origin.heads)
        answer = client.ask(lines)
        if answer.status != 400 and (answer.reset is None or not name.endswith("length")):  # which hyper-h2 refuses
            wrong.append((name, answer.status))
        if len(raw_origin.heads) != asked:
            wrong.append((name, raw_origin.heads[-1]))
    last = client.ask(request())
    client.close()
    assert not wrong
    assert last.status == 200
    assert "Traceback" not in reverse.log()


def test_a_stream_that_is_refused_costs_the_others_nothing(raw_origin: RawOrigin, client: H2Client) -> None:
    assert client.ask(request(method=b"head")).status == 501
    assert client.ask(request(method=b"G:T"), body=b"abc").status == 400
    assert client.ask(request()).body == b"an answer"


def test_a_refused_stream_may_be_reset_already(reverse: Mitmdump, client: H2Client) -> None:
    client.ask_and_reset(request(method=b"G:T"))
    assert client.ask(request()).body == b"an answer"
    assert "Traceback" not in reverse.log()


def test_a_head_over_the_limit_is_refused_alone(raw_origin: RawOrigin, client: H2Client) -> None:
    assert client.ask([*request(), *[(b"x", b"y" * 1000)] * 70]).status == 431
    assert client.ask([*request(), *[(b"x", b"y" * 1000)] * 60]).status == 200


def test_host_may_state_the_default_port(raw_origin: RawOrigin, client: H2Client) -> None:
    """As over HTTP/3: it is compared with :authority by meaning (RFC 9113, section 8.3.1)."""
    for host, status in {b"SHOP.test:443": 200, b"shop.test:80": 400, b"else.test": 400}.items():
        assert client.ask([*request(), (b"host", host)]).status == status


def test_hosts_arrive_as_they_came(raw_origin: RawOrigin, client: H2Client) -> None:
    hosts = [
        b"xn--mnchen-3ya.example",
        b"xn--fa-hia.de",
        b"SHOP.Test:8443",
        b"shop.test.",
        b"[::1]:80",
        b"a%41b",
        b"a_b",
    ]
    for host in hosts:
        answer = client.ask([*request(authority=host), (b"x", b"\xff\xe4")])
        lines = raw_origin.heads[-1].split(b"\r\n")
        assert answer.status == 200, (host, answer)
        assert b"host: " + host in [line[:6].lower() + line[6:] for line in lines]
        assert b"x: \xff\xe4" in lines
        assert b"X-Forwarded-Host: " + host in lines


def test_trailers_are_held_to_what_fields_are(raw_origin: RawOrigin, client: H2Client) -> None:
    late = [(b"x-sum", b"1"), (b"x_real_ip", b"6.6.6.6"), (b"content-length", b"5"), (b"host", b"evil.test")]
    assert client.ask([*request(method=b"POST"), (b"te", b"trailers")], b"abc", late).status == 200
    assert b"Connection: TE, close" in raw_origin.heads[-1].split(b"\r\n")
    assert raw_origin.trailers[-1] == b"x-sum: 1\r\n"
    broken = client.ask(request(method=b"POST"), b"abc", [(b"x", b"a\x01")])
    assert broken.reset is not None or broken.status >= 400 or broken.is_connection_over


CONNECT = {
    "ordinary": [(b":method", b"CONNECT"), (b":authority", b"shop.test:443")],
    "extended": [*request(method=b"CONNECT"), (b":protocol", b"websocket")],
}


@pytest.mark.parametrize("mode", ["reverse", "regular", "socks5"])
def test_connect_is_not_implemented(
    mode: str, reverse: Mitmdump, mitmdump: Callable[..., Mitmdump], server_tls: ssl.SSLContext
) -> None:
    server = H2Origin(server_tls)
    server.head = [(b":status", b"200")]
    if mode == "reverse":
        client = H2Client(reverse.port)
    else:
        proxy = mitmdump("--set", "ssl_insecure=true", "--set", "inspect_hosts=*", mode=mode)
        tunnel = socket.create_connection(("127.0.0.1", proxy.port), timeout=20)
        {"regular": connect, "socks5": socks5}[mode](tunnel, f"localhost:{server.port}")
        client = H2Client(server.port, tunnel)
    answers = {kind: client.ask(lines) for kind, lines in CONNECT.items()}
    last = client.ask(request())
    client.close()
    server.close()
    assert {answer.status for answer in answers.values()} == {501}
    assert b"CONNECT is supported over HTTP/1.1 only" in answers["extended"].body
    assert last.status == 200


class H2Origin(SocketServer):
    """Answers each request over TLS and HTTP/2 with the head that `head` says."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        tls.set_alpn_protocols(["h2"])
        self.head: Lines = []
        self.hints: Lines = []
        super().__init__(tls)

    def serve(self, sock: socket.socket) -> None:
        """Answer until the client leaves, or breaks the rules."""
        config = h2.config.H2Configuration(
            client_side=False, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        connection = h2.connection.H2Connection(config)
        with contextlib.suppress(h2.exceptions.ProtocolError):
            connection.initiate_connection()
            sock.sendall(connection.data_to_send())
            while data := sock.recv(65536):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.StreamEnded):
                        if self.hints:
                            connection.send_headers(event.stream_id, self.hints)
                        connection.send_headers(event.stream_id, self.head, end_stream=True)
                sock.sendall(connection.data_to_send())


BAD_ANSWERS: dict[str, Lines] = {
    **{f"status {value!r}": [(b":status", value)] for value in (b"99", b"600", b"20", b"+20", b"abc")},
    "101": [(b":status", b"101")],
    "control in a value": [(b":status", b"200"), (b"x", b"a\x01b")],
    "no token as a name": [(b":status", b"200"), (b"x(y", b"a")],
    "a long length": [(b":status", b"200"), (b"content-length", b"18446744073709551619")],
    "a length without a body": [(b":status", b"200"), (b"content-length", b"5")],
}


def test_a_bad_answer_is_502(mitmdump: Callable[..., Mitmdump], server_tls: ssl.SSLContext, curl: Any) -> None:
    server = H2Origin(server_tls)
    proxy = mitmdump("--set", "ssl_insecure=true", mode=f"reverse:https://localhost:{server.port}")
    client, wrong = H2Client(proxy.port), []
    try:
        for name, head in BAD_ANSWERS.items():
            server.head, server.hints = head, []
            if (answer := client.ask(request())).status != 502 or b"by client" in answer.body:
                wrong.append((name, answer))
        server.head, server.hints = [(b":status", b"200")], [(b":status", b"103"), (b"x", b"a\x01b")]
        assert client.ask(request()).status == 502
        server.hints, server.head = [], [(b":status", b"200"), (b"content-length", b"5")]
        assert client.ask(request(method=b"HEAD")).status == 200
        server.head = [(b":status", b"304"), (b"content-length", b"5")]
        assert client.ask(request()).status == 304
        server.head = [(b":status", b"200"), *[(b"x", b"y" * 1000)] * 100]
        assert curl("-k", f"https://127.0.0.1:{proxy.port}/").status == 200
        server.head = [(b":status", b"200")]
        assert client.ask(request()).status == 200
    finally:
        client.close()
        server.close()
    assert not wrong
