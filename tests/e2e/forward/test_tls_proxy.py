"""The proxy reached over TLS, and https:// targets asked for in absolute form."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, exchange_raw

StartOrigin = Callable[..., Origin]


def test_curl_over_tls_for_plain_and_secure_targets(
    proxy: Mitmdump, origin: StartOrigin, server_tls: ssl.SSLContext, ca_file: Path, curl: Any
) -> None:
    plain, secure = origin(), origin(server_tls)
    for host in ("127.0.0.1", "localhost"):
        to_proxy = ("-x", f"https://{host}:{proxy.port}", "--proxy-cacert", str(proxy.ca))
        assert curl(*to_proxy, f"{plain.url}/").body == b"hello from the origin\n"
        assert curl(*to_proxy, "--cacert", str(ca_file), f"{secure.url}/").body == b"hello from the origin\n"
        refused = curl("-x", f"https://{host}:{proxy.port}", f"{plain.url}/")
        assert refused.code == 60, "the proxy's own certificate must be verified"


def test_a_large_tunnel_over_tls(
    proxy: Mitmdump, origin: StartOrigin, server_tls: ssl.SSLContext, ca_file: Path, curl: Any
) -> None:
    secure = origin(server_tls)
    size = 20 << 20
    secure.route("/", Answer(body=b"y" * size))
    to_proxy = ("-x", f"https://127.0.0.1:{proxy.port}", "--proxy-cacert", str(proxy.ca))
    assert curl(*to_proxy, "--cacert", str(ca_file), f"{secure.url}/").body == b"y" * size


def test_http_1_0_over_tls_is_told_the_end(proxy: Mitmdump, origin: StartOrigin, curl: Any) -> None:
    server = origin()
    server.route("/", Answer(body=[b"one ", b"two"]))
    to_proxy = ("-x", f"https://127.0.0.1:{proxy.port}", "--proxy-cacert", str(proxy.ca))
    result = curl(*to_proxy, "-0", f"{server.url}/")
    assert (result.code, result.body) == (0, b"one two"), result.stderr
    assert result.get("transfer-encoding") is None


@pytest.mark.parametrize("kind", ["http", "https"])
def test_urllib3(proxy: Mitmdump, origin: StartOrigin, server_tls: ssl.SSLContext, ca_file: Path, kind: str) -> None:
    plain, secure = origin(), origin(server_tls)
    trust = ssl.create_default_context(cafile=str(ca_file))
    to_proxy = ssl.create_default_context(cafile=str(proxy.ca))
    url = f"{kind}://127.0.0.1:{proxy.port}"
    with urllib3.ProxyManager(url, proxy_ssl_context=to_proxy, ssl_context=trust) as pool:
        for server in (plain, secure):
            for _ in range(3):
                answer = pool.request("GET", f"{server.url}/", retries=False)
                assert (answer.status, answer.data) == (200, b"hello from the origin\n")


def test_urllib3_with_forwarding_for_https(
    mitmdump: Callable[..., Mitmdump], origin: StartOrigin, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    """`use_forwarding_for_https` sends `GET https://… HTTP/1.1` to the proxy, which verifies the origin."""
    secure = origin(server_tls)
    trusting = mitmdump("--set", f"ssl_verify_upstream_trusted_ca={ca_file}")
    untrusting = mitmdump()
    for proxy, status in ((trusting, 200), (untrusting, 502)):
        to_proxy = ssl.create_default_context(cafile=str(proxy.ca))
        url = f"https://127.0.0.1:{proxy.port}"
        with urllib3.ProxyManager(url, proxy_ssl_context=to_proxy, use_forwarding_for_https=True) as pool:
            answer = pool.request("GET", f"{secure.url}/", retries=False)
            assert answer.status == status
    assert answer.data.count(b"verify failed") == 1
    assert len(secure.requests) == 1


def test_an_absolute_https_target_without_tls_to_the_proxy(
    mitmdump: Callable[..., Mitmdump], origin: StartOrigin, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    secure = origin(server_tls)
    proxy = mitmdump("--set", f"ssl_verify_upstream_trusted_ca={ca_file}")
    request = f"GET {secure.url}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert exchange_raw(proxy.port, request.encode()).endswith(b"hello from the origin\n")
    assert secure.requests[0].get("Host") == f"127.0.0.1:{secure.port}"
