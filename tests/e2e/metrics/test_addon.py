"""/metrics of a real mitmdump, which counts what no hook sees, and says the same as `proxy-policies stats`."""

import json
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.curl import curl
from tests.support.files import rewrite
from tests.support.mitmdump import ADDONS, Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import free_port, wait_until
from tests.support.workers import Workers

from proxy_policies.command.main import main

Start = Callable[..., Mitmdump]


def samples(port: int) -> dict[str, float]:
    answer = curl(f"http://127.0.0.1:{port}/metrics")
    assert answer.status == 200, answer
    return {
        ",".join([sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))]): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def test_what_is_counted(mitmdump: Start, origin: Callable[..., Origin], capsys: pytest.CaptureFixture[str]) -> None:
    running, port = origin(), free_port()
    text = ("Content-Type", "text/plain")
    running.route("/", Answer(headers=[("Cache-Control", "max-age=600"), text], body=b"the same words\n" * 500))
    proxy = mitmdump("--set", f"metrics={port}")
    for _ in range(5):
        size = len(curl("-x", proxy.url, "-H", "Accept-Encoding: gzip", running.url + "/").body)
    curl("-px", proxy.url, running.url + "/")
    curl("-x", proxy.url, f"http://127.0.0.1:{free_port()}/")
    wait_until(lambda: samples(port).get("proxy_policies_tunnels_total,status=2xx"))
    found = samples(port)
    assert found["proxy_policies_requests_total,cache=hit,method=GET,status=2xx"] == 4
    assert found["proxy_policies_requests_total,cache=uri-miss,method=GET,status=2xx"] == 1
    assert found["proxy_policies_response_bytes_total,cache=hit"] == 4 * size
    assert found["proxy_policies_response_saved_bytes_total,encoding=gzip"] == 5 * (7500 - size)
    assert found["proxy_policies_fast_path_total,path=hits"] >= 1
    assert found["proxy_policies_errors_total,reason=origin"] == 1
    assert found["proxy_policies_tunnels_open"] == 0
    assert found["proxy_policies_cache_responses"] == 1
    assert main(["stats", "--json", "--confdir", str(proxy.confdir)]) == 0
    (stats,) = json.loads(capsys.readouterr().out)
    counted = stats["policies"]["metrics"]
    assert (counted["requests"], counted["cache: hit"], counted["errors"]) == (6, 4, 1)
    assert counted["bytes saved by encoding"] == 5 * (7500 - size)


def test_it_is_for_this_machine_and_says_little_of_itself(mitmdump: Start) -> None:
    port = free_port()
    mitmdump("--set", f"metrics={port}", script="metrics.py")
    url = f"http://127.0.0.1:{port}"
    assert curl("-H", "Host: attacker.test", url + "/metrics").status == 403
    assert curl(url + "/").status == 404
    assert curl("-X", "POST", url + "/metrics").status == 405
    answer = curl(url + "/metrics")
    assert (answer.get("server"), answer.get("cache-control")) == (None, "no-store")
    assert curl("--head", url + "/metrics").status == 200


def test_health_is_503_while_answers_in_flight_are_finished(mitmdump: Start, origin: Callable[..., Origin]) -> None:
    server, over, port = origin(), threading.Event(), free_port()
    server.route("/", lambda request: Answer(body=iter([b"begun, ", b"ended"] if over.wait(60) else [])))
    proxy, url = mitmdump("--set", f"metrics={port}", "--set", "grace_period=60s"), f"http://127.0.0.1:{port}/health"
    assert (curl(url).status, curl("--head", url).status) == (200, 200)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as client:
        client.sendall(f"GET {server.url}/ HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        wait_until(lambda: server.requests)
        proxy.process.terminate()
        wait_until(lambda: curl(url).status == 503)
        over.set()
        assert b" 200 " in client.recv(65536)
    assert proxy.wait_exit(40) == 0


def test_everywhere(mitmdump: Start) -> None:
    port = free_port()
    mitmdump("--set", f"metrics=*:{port}", script="metrics.py")
    assert curl("-H", "Host: proxy.example", f"http://127.0.0.1:{port}/metrics").status == 200


def test_pages_in_a_policy_file_stay_as_they_are_when_a_change_is_refused(mitmdump: Start, tmp_path: Path) -> None:
    metrics, policies = free_port(), tmp_path / "policies.yaml"
    right = [f"metrics: {metrics}\n", f"dashboard: {free_port()}\n"]
    rewrite(policies, "".join(right))
    proxy = mitmdump("--set", f"policy_file={policies}")
    (page,) = re.findall(r"dashboard: (http\S+)", proxy.log())
    for wrong in ("metrics: 203.0.113.1:9\n", "dashboard: 203.0.113.1:9\ndashboard_password: sixteen-and-more\n"):
        others = [line for line in right if line.partition(":")[0] not in wrong]
        rewrite(policies, "".join([*others, wrong]))
        proxy.wait_log(f"option {wrong.partition(':')[0]}='203.0.113.1:9': cannot listen: ")
        assert samples(metrics)["proxy_policies_cache_responses"] == 0
        assert curl(page).status == 303
    assert proxy.log().count("dashboard: http") == 1
    assert "Traceback" not in proxy.log()


@pytest.mark.parametrize(
    ("value", "said"),
    [("nowhere", "option metrics='nowhere': "), ("127.0.0.1:{}", "cannot listen: Address already in use")],
)
def test_where_it_cannot_listen(mitmdump: Start, value: str, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        proxy = mitmdump("--set", f"metrics={value.format(taken.getsockname()[1])}", wait=False)
        assert proxy.wait_exit() == 1
        proxy.wait_log(re.escape(said))
        assert "Traceback" not in proxy.log()


def test_each_worker_has_a_port(tmp_path: Path) -> None:
    port = free_port(2)
    workers = Workers(tmp_path, "2", "-s", str(ADDONS / "policy.py"), "-p", "0", "--set", f"metrics={port}")
    try:
        workers.wait_until(lambda: curl(f"http://127.0.0.1:{port}/metrics").status == 200)
        workers.wait_until(lambda: curl(f"http://127.0.0.1:{port + 1}/metrics").status == 200)
    finally:
        workers.stop()
