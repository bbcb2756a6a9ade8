"""A real mitmdump and a real receiver of OTLP."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from tests.support.curl import curl
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.otlp_receiver import Receiver, values
from tests.support.waiting import free_port, wait_until

Start = Callable[..., Mitmdump]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_span_of_each_request_and_tunnel(
    mitmdump: Start, origin: Callable[..., Origin], ca: trustme.CA, tmp_path: Path
) -> None:
    receiver, server = Receiver(), origin()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    secure = origin(context)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    server.route("/kept?api_key=hunter22hunter22", Answer(headers=[("Cache-Control", "max-age=600")], body=b"kept"))
    options = (
        f"traces={receiver.url}",
        f"inspect_hosts=localhost:{secure.port}",
        f"ssl_verify_upstream_trusted_ca={tmp_path / 'ca.pem'}",
    )
    proxy = mitmdump(*(part for option in options for part in ("--set", option)))
    parent = ("-H", f"traceparent: 00-{TRACE}-{SPAN}-01")
    for _ in range(3):
        curl("-x", proxy.url, *parent, server.url + "/kept?api_key=hunter22hunter22")
    assert server.requests[-1].get("traceparent") == f"00-{TRACE}-{SPAN}-01", "it is passed on as it was"
    curl("-kx", proxy.url, f"https://localhost:{secure.port}/inside")
    curl("-px", proxy.url, server.url + "/through")
    curl("-x", proxy.url, f"http://127.0.0.1:{free_port()}/nobody")
    wait_until(lambda: len(receiver.spans) >= 7)
    spans = [values(span.attributes) for span in receiver.spans]
    kept = [span for span in spans if span.get("url.full") == f"{server.url}/kept?api_key=REDACTED"]
    assert [span["proxy_policies.cache"] for span in kept] == ["uri-miss", "hit", "hit"]
    assert kept[0]["proxy_policies.upstream.port"] == server.port
    assert {span.parent_span_id.hex() for span in receiver.spans if span.trace_id.hex() == TRACE} == {SPAN}
    assert sum(span.trace_id.hex() == TRACE for span in receiver.spans) == 3
    (inside,) = [span for span in spans if span.get("url.full") == f"https://localhost:{secure.port}/inside"]
    assert (inside["http.response.status_code"], inside["network.protocol.version"]) == (200, "1.1")
    (failed,) = [span for span in spans if span.get("error.type") == "502"]
    assert failed["url.full"].endswith("/nobody")
    tunnels = [span for span in spans if span["http.request.method"] == "CONNECT"]
    assert {span["server.port"] for span in tunnels} == {server.port, secure.port}
    assert "hunter22" not in str(receiver.spans)
    receiver.close()


def test_a_collector_that_refuses_is_a_line_with_a_count(mitmdump: Start, origin: Callable[..., Origin]) -> None:
    server, receiver = origin(), Receiver()
    receiver.status = 400
    proxy = mitmdump("--set", f"traces={receiver.url}/custom", script="traces.py")
    assert curl("-x", proxy.url, server.url + "/").status == 200
    said = proxy.wait_log(r"traces: 1 span lost: the collector at (\S+) does not accept them")[1]
    assert said == receiver.url.removeprefix("http://")
    assert receiver.paths[0] == "/custom"
    assert "Traceback" not in proxy.log()
    assert proxy.stop() == 0
    assert "Traceback" not in proxy.log()
    receiver.close()


@pytest.mark.parametrize("value", ["yes", "ftp://a/", "http://", "http://user:secretsecret@a:1", "http://a:b"])
def test_what_is_no_collector(mitmdump: Start, value: str) -> None:
    proxy = mitmdump("--set", f"traces={value}", script="traces.py", wait=False)
    assert proxy.wait_exit() == 1
    assert "write a collector's URL such as http://127.0.0.1:4318" in proxy.log()
    assert "Traceback" not in proxy.log()
