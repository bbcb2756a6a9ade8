"""One proxy with the ways around mitmproxy's layers, and one without; both write what they are asked."""

import ssl
from collections.abc import Iterator

import pytest
import trustme
from tests.support.access_lines import PAGE, AccessLines, Logged
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin

TEXT = ("Content-Type", "text/plain")


def _route(origin: Origin) -> None:
    origin.route("/fresh", Answer(headers=[("Cache-Control", "max-age=1000"), TEXT], body=PAGE))
    origin.route("/large", Answer(headers=[("Cache-Control", "no-store")], body=bytes(1_500_000)))
    origin.route("/chunks", lambda _: Answer(headers=[("Cache-Control", "no-store")], body=iter([b"one", b"two"])))
    origin.route("/empty", Answer(204))
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + bytes(1_200_000)
    origin.route("/broken", Answer(raw=begun, close=True))


@pytest.fixture(scope="module", params=["on", "off"])
def logged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ca: trustme.CA
) -> Iterator[Logged]:
    """Start it."""
    folder = tmp_path_factory.mktemp("logged")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    origin, secure = Origin(), Origin(context)
    for each in (origin, secure):
        _route(each)
    ca.cert_pem.write_to_path(folder / "ca.pem")
    options = [
        f"access_log={folder / 'access.log'}",
        f"fast_lane={request.param}",
        f"inspect_hosts=localhost:{secure.port}",
        f"ssl_verify_upstream_trusted_ca={folder / 'ca.pem'}",
    ]
    proxy = Mitmdump([part for option in options for part in ("--set", option)], confdir=folder)
    yield Logged(proxy, origin, secure, AccessLines(folder / "access.log"))
    proxy.stop()
    origin.close()
    secure.close()
