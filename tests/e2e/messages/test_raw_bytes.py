"""What a client sends arrives in the bytes it was sent in: every mode and lane, the first request and later ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.mitmdump import LANES, Both, both_modes
from tests.support.raw_origin import RawOrigin, talk

TO_ORIGIN = """
class ToOrigin:
    def server_connect(self, data):
        data.server.address = ("127.0.0.1", {port})

addons = [ToOrigin()]
"""
DIALLED = [b"xn--mnchen-3ya.example", b"XN--MNCHEN-3YA.Example:8080", b"xn--fa-hia.de", b"shop.test.", b"a_b.test"]
"""Names that a proxy connects to; the second is no name in IDNA 2003, the third in IDNA 2008 only."""
DIALLED += [b"[::1]:8080", b"[fe80::1%25lo]", b"127.0.0.1:81"]
ASKED = [*DIALLED, b"a%41.test", b"a!$&'()*+;=b", b"h:"]
"""What Host may say besides."""
PATHS = [b"/%7euser/%E4%e4?a=%zz&b=+", "/ä ö".replace(" ", "").encode() + b"/\xff", b"//a/../b/./c", b"/?", b"/;x?y?z"]
FIELDS = [
    b"X-Odd: \xff\xfe \xc3\xa4\t\xed\xa0\x80",
    b"x-CASE: a,b ,c",
    b"X-Empty: ",
    b"Cookie: a=\xe4; b=2",
    b"Cookie: c=3",
]


@pytest.fixture(scope="module", params=LANES)
def proxy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, raw_origin: RawOrigin
) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("confdir")
    script = folder / "to_origin.py"
    script.write_text(TO_ORIGIN.format(port=raw_origin.port))
    options = ("--set", f"fast_lane={request.param}", "--set", "keep_host_header=true", "-s", str(script))
    running = both_modes(raw_origin.url, folder, *options, modes=("regular", "reverse", "upstream"))
    yield running
    running.process.stop()


@pytest.mark.parametrize("mode", ["regular", "reverse", "upstream"])
def test_bytes_arrive_as_they_came(proxy: Both, raw_origin: RawOrigin, mode: str) -> None:
    wrong = []
    for number, host in enumerate(ASKED if mode == "reverse" else DIALLED):
        path = PATHS[number % len(PATHS)]
        target = path if mode == "reverse" else b"http://" + host + path
        request = b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: " + host, *FIELDS, b"", b""])
        raw_origin.heads.clear()
        talk(proxy.ports[mode], request, request)
        if len(raw_origin.heads) != 2:
            wrong.append((host, proxy.process.log()[-300:].encode()))
        for head in raw_origin.heads:
            lines = head.split(b"\r\n")
            sent = target if mode == "upstream" else path
            wanted = {b"GET " + sent + b" HTTP/1.1", b"Host: " + host, *FIELDS}
            if mode == "reverse":
                wanted.add(b"X-Forwarded-Host: " + host)
            if not wanted <= set(lines):
                wrong.append((host, head))
    assert not wrong


def test_a_tunnel_is_asked_for_in_the_bytes_it_was(proxy: Both, raw_origin: RawOrigin) -> None:
    raw_origin.answer = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
    try:
        for host in (b"xn--mnchen-3ya.example:80", b"xn--fa-hia.de:80", b"[::1]:80"):
            talk(proxy.ports["upstream"], b"CONNECT " + host + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
            assert raw_origin.heads[-1].startswith(b"CONNECT " + host + b" HTTP/1.1\r\n"), (host, raw_origin.heads[-1])
    finally:
        raw_origin.answer = b""


def test_an_addon_cannot_split_an_answer(tmp_path: Path, raw_origin: RawOrigin) -> None:
    script = tmp_path / "splits.py"
    value = "a\\r\\nContent-Length: 0\\r\\n\\r\\nHTTP/1.1 299 Split"
    script.write_text(f"def response(flow):\n    flow.response.headers['X-Echo'] = '{value}'\n")
    for lane in LANES[:2]:
        proxy = both_modes(raw_origin.url, tmp_path, "--set", f"fast_lane={lane}", "-s", str(script))
        try:
            for mode, base in (("regular", raw_origin.url.encode()), ("reverse", b"")):
                request = b"GET " + base + b"/x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % raw_origin.port
                got = talk(proxy.ports[mode], request, request)
                assert got.count(b"HTTP/1.1 502 ") == got.count(b"HTTP/1.1 ") == 2, got
        finally:
            proxy.process.stop()
