"""inspect_hosts: listed hosts are opened with the proxy's CA, every other host stays untouched, in every mode."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.files import rewrite
from tests.support.mitmdump import Mitmdump
from tests.support.openings import issuer
from tests.support.origin import Origin
from tests.support.waiting import wait_until

Start = Callable[..., Mitmdump]
StartOrigin = Callable[..., Origin]


@pytest.fixture
def secure(origin: StartOrigin, server_tls: ssl.SSLContext) -> Origin:
    return origin(server_tls)


@dataclass(frozen=True)
class Case:
    id: str
    hosts: tuple[str, ...]
    name: str
    sni: str | None
    expected: str


CASES = [
    Case("nothing listed", (), "localhost", "localhost", "trustme"),
    Case("all", ("*",), "localhost", "localhost", "mitmproxy"),
    Case("the name", ("localhost",), "localhost", "localhost", "mitmproxy"),
    Case("another name", ("*.example.test",), "localhost", "localhost", "trustme"),
    Case("excluded", ("*", "!localhost"), "localhost", "localhost", "trustme"),
    Case("the name, another SNI", ("localhost",), "localhost", "a.example.test", "trustme"),
    Case("the name, no SNI", ("localhost",), "localhost", None, "mitmproxy"),
    Case("the address", ("127.0.0.1",), "127.0.0.1", "a.example.test", "mitmproxy"),
    Case("an address by its SNI", ("*.example.test",), "127.0.0.1", "a.example.test", "mitmproxy"),
    Case("an address by another SNI", ("*.example.test",), "127.0.0.1", "localhost", "trustme"),
    Case("another port", ("localhost:1",), "localhost", "localhost", "trustme"),
    Case("its port", ("LOCALHOST.:{port}",), "localhost", "localhost", "mitmproxy"),
    Case("its port excluded", ("*", "!*:{port}"), "localhost", "localhost", "trustme"),
    Case("an excluded SNI", ("*", "!pay.example.test"), "localhost", "pay.example.test", "trustme"),
    Case("an address by an excluded SNI", ("*", "!pay.example.test"), "127.0.0.1", "pay.example.test", "trustme"),
    Case("an excluded address by its SNI", ("*", "!127.0.0.1"), "127.0.0.1", "a.example.test", "trustme"),
    Case("an address by an SNI with its port", ("*.test:{port}",), "127.0.0.1", "a.example.test", "mitmproxy"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_opened(mitmdump: Start, secure: Origin, case: Case) -> None:
    hosts = [part for glob in case.hosts for part in ("--set", f"inspect_hosts={glob.format(port=secure.port)}")]
    proxy = mitmdump(*hosts, "--set", "ssl_insecure=true", script="inspection.py")
    assert issuer(proxy.port, f"{case.name}:{secure.port}", case.sni) == case.expected
    if "another SNI" in case.id and case.name == "localhost":
        proxy.wait_log(f"localhost:{secure.port} is left untouched: its SNI a.example.test is not in inspect_hosts")


@pytest.fixture
def through(mitmdump: Start, secure: Origin, request: pytest.FixtureRequest) -> Mitmdump:
    options = ("--set", "inspect_hosts=*.example.test", "--set", "ssl_insecure=true")
    mode = {"upstream": f"upstream:{mitmdump().url}" if request.param == "upstream" else "", "socks5": "socks5"}
    return mitmdump(*options, mode=mode[request.param])


@pytest.mark.parametrize("through", ["upstream", "socks5"], indirect=True)
def test_other_modes(through: Mitmdump, secure: Origin, request: pytest.FixtureRequest) -> None:
    how = "socks5" if "socks5" in request.node.name else "connect"
    assert issuer(through.port, f"127.0.0.1:{secure.port}", "a.example.test", how) == "mitmproxy"
    assert issuer(through.port, f"127.0.0.1:{secure.port}", "localhost", how) == "trustme"
    assert issuer(through.port, f"localhost:{secure.port}", "localhost", how) == "trustme"
    assert issuer(through.port, f"localhost:{secure.port}", "a.example.test", how) == "trustme"


def test_a_listed_host_is_fetched_over_verified_tls(mitmdump: Start, secure: Origin, ca_file: Path, curl: Any) -> None:
    proxy = mitmdump("--set", "inspect_hosts=localhost", "--set", f"ssl_verify_upstream_trusted_ca={ca_file}")
    result = curl("-x", proxy.url, "--cacert", str(proxy.ca), f"https://localhost:{secure.port}/")
    assert (result.status, result.body) == (200, b"hello from the origin\n")
    assert "Via" in dict(secure.requests[0].headers)
    assert result.get("via")
    proxy.wait_log(rf"GET https://localhost:{secure.port}/")
    other = mitmdump("--set", "inspect_hosts=localhost")
    result = curl("-x", other.url, "--cacert", str(other.ca), f"https://localhost:{secure.port}/")
    assert result.status == 502
    assert b"verify failed" in result.body


def test_mitmproxys_own_options_win(mitmdump: Start, secure: Origin) -> None:
    insecure = ("--set", "ssl_insecure=true")
    ignoring = mitmdump(*insecure, "--set", "inspect_hosts=*", "--ignore-hosts", "localhost")
    assert issuer(ignoring.port, f"localhost:{secure.port}", "localhost") == "trustme"
    assert issuer(ignoring.port, f"127.0.0.1:{secure.port}", "a.example.test") == "mitmproxy"
    allowing = mitmdump(*insecure, "--allow-hosts", "localhost")
    assert issuer(allowing.port, f"localhost:{secure.port}", "localhost") == "mitmproxy"
    assert issuer(allowing.port, f"127.0.0.1:{secure.port}", "a.example.test") == "trustme"
    raw = mitmdump(*insecure, "--tcp-hosts", "localhost", "--set", "inspect_hosts=*", "--set", "flow_detail=3")
    assert issuer(raw.port, f"localhost:{secure.port}", "localhost") == "mitmproxy"
    raw.wait_log("hello from the origin")
    assert "GET https://" not in raw.log()
    assert secure.requests[-1].get("via") is None


def test_an_unlisted_host_sees_no_policy(mitmdump: Start, secure: Origin, ca_file: Path, curl: Any) -> None:
    proxy = mitmdump("--set", "inspect_hosts=*.example.test")
    result = curl("-x", proxy.url, "--cacert", str(ca_file), f"https://localhost:{secure.port}/")
    assert (result.status, result.get("via")) == (200, None)
    assert secure.requests[0].get("via") is None
    assert "GET https://" not in proxy.log()


def test_curl_by_address_is_decided_by_its_sni(mitmdump: Start, secure: Origin, curl: Any) -> None:
    proxy = mitmdump("--set", "inspect_hosts=*.example.test", "--set", "ssl_insecure=true")
    way = ("-x", proxy.url, "--connect-to", f"::127.0.0.1:{secure.port}", "--cacert", str(proxy.ca))
    assert curl(*way, "https://a.example.test/").get("via")
    assert curl(*way, "https://example.test/").code == 60
    proxy.wait_log(rf"→ 127.0.0.1:{secure.port} opened, not in inspect_hosts")


def test_the_file_of_policies_decides_live(mitmdump: Start, secure: Origin, tmp_path: Path) -> None:
    policies = tmp_path / "policies.yaml"
    rewrite(policies, "inspect_hosts: [localhost]\n")
    proxy = mitmdump("--set", f"policy_file={policies}", "--set", "ssl_insecure=true")

    def shown() -> str:
        return issuer(proxy.port, f"localhost:{secure.port}", "localhost")

    assert shown() == "mitmproxy"
    rewrite(policies, "inspect_hosts: ['.*host']\n")
    proxy.wait_log("is a regular expression; write \\*host")
    assert shown() == "mitmproxy"
    rewrite(policies, "inspect_hosts: ['*', '!localhost']\n")
    wait_until(lambda: shown() == "trustme")
    rewrite(policies, "inspect_hosts: ['*']\n")
    wait_until(lambda: shown() == "mitmproxy")
    rewrite(policies, "")
    wait_until(lambda: shown() == "trustme")


def test_fail_open_is_off_by_default(mitmdump: Start, secure: Origin, ca_file: Path, curl: Any) -> None:
    proxy = mitmdump("--set", "inspect_hosts=localhost", "--set", "ssl_insecure=true")
    for _ in range(2):
        pinned = curl("-x", proxy.url, "--cacert", str(ca_file), f"https://localhost:{secure.port}/")
        assert pinned.code == 60
    assert "is left untouched" not in proxy.log()


@pytest.mark.parametrize("tls", ["--tlsv1.3", "--tls-max=1.2"])
@pytest.mark.parametrize("name", ["localhost", "a.example.test"])
def test_fail_open_leaves_a_pinned_host_alone(
    mitmdump: Start, secure: Origin, ca_file: Path, curl: Any, name: str, tls: str
) -> None:
    to_origin = (*tls.split("="), "--cacert", str(ca_file), "--connect-to", f"{name}:443:127.0.0.1:{secure.port}")
    proxy = mitmdump("--set", "inspect_hosts=*", "--set", "inspect_fail_open=on", "--set", "ssl_insecure=true")
    pinned = ("-x", proxy.url, *to_origin, f"https://{name}/")
    assert curl(*pinned).code == 60
    proxy.wait_log(f"{name}:{secure.port} is left untouched for 3600 s: a client refused our certificate")
    for _ in range(2):
        assert curl(*pinned).status == 200
    proxy.wait_log(rf"tunnel .* → 127.0.0.1:{secure.port} opened, a client refused our certificate")
    assert proxy.log().count("is left untouched for") == 1
    assert issuer(proxy.port, f"127.0.0.1:{secure.port}", "other.example.test") == "mitmproxy"


def test_fail_open_ends(mitmdump: Start, secure: Origin, ca_file: Path, curl: Any) -> None:
    brief = ("--set", "inspect_fail_open=on", "--set", "inspect_fail_open_ttl=2s")
    proxy = mitmdump("--set", "inspect_hosts=localhost", *brief, "--set", "ssl_insecure=true")
    pinned = ("-x", proxy.url, "--cacert", str(ca_file), f"https://localhost:{secure.port}/")
    assert curl(*pinned).code == 60
    proxy.wait_log("is left untouched for 2 s")
    wait_until(lambda: curl(*pinned).code == 60)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (r"inspect_hosts=.*\.example\.com", "is a regular expression; write *.example.com"),
        ("inspect_hosts=example.com:0", "'example.com:0' has no valid port; write a glob such as"),
        (r"inspect_hosts=!^pay\.", "is a regular expression; write !pay."),
        ("inspect_hosts=[ab.example.com", "has a [ without a ]; write ab.example.com"),
        ("inspect_fail_open=maybe", "option inspect_fail_open='maybe': choose one of"),
        ("inspect_fail_open_ttl=soon", "option inspect_fail_open_ttl='soon': write a duration"),
        ("connect_timeout=0", "option connect_timeout='0': write a duration above zero"),
    ],
)
def test_a_wrong_value_ends_the_start_with_one_line(mitmdump: Start, option: str, complaint: str) -> None:
    proxy = mitmdump("--set", option, script="inspection.py", wait=False)
    assert proxy.wait_exit() == 1
    said = [line for line in proxy.log().splitlines() if f"option {option.partition('=')[0]}=" in line]
    assert len(said) == 1, proxy.log()
    assert "Traceback" not in proxy.log()
    assert complaint in said[0]


def test_a_server_with_a_private_ca_is_told_of(mitmdump: Start, secure: Origin, curl: Any) -> None:
    proxy = mitmdump("--set", "inspect_hosts=localhost")
    assert curl("-x", proxy.url, "-k", f"https://localhost:{secure.port}/").status == 502
    proxy.wait_log("localhost has a certificate that is not trusted; .*ssl_verify_upstream_trusted_ca=FILE")
