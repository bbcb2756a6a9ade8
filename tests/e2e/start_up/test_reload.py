"""A script of ours that is edited while mitmdump runs: mitmproxy ends its policies and loads them again."""

import re
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.access_lines import AccessLines
from tests.support.files import rewrite
from tests.support.mitmdump import ADDONS, Mitmdump
from tests.support.openings import connect, issuer
from tests.support.origin import Answer, Origin
from tests.support.sockets import talk
from tests.support.waiting import wait_until

Start = Callable[..., Mitmdump]
SECRET = "a secret that both ends know"


def loaded(proxy: Mitmdump, policy: Path, times: int) -> bool:
    return proxy.log().count(f"Loading script {policy}") == times


def has(curl: Any, url: str, value: str) -> bool:
    return bool(curl(url).get("x-new") == value)


def is_gone(proxy: Mitmdump, policy: Path) -> bool:
    return f"script {policy} is gone" in proxy.log()


def is_open(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("fast_lane", ["off", "on"])
def test_every_policy_is_loaded_again(
    mitmdump: Start, origin: Callable[[], Origin], curl: Any, tmp_path: Path, free_port: Any, fast_lane: str
) -> None:
    server, home = origin(), free_port()
    server.route("/", Answer(headers=[("Cache-Control", "max-age=600")], body=b"kept"))
    policy, policies = tmp_path / "mine.py", tmp_path / "policies.yaml"
    text = f"import sys\nsys.path.insert(0, {str(ADDONS)!r})\n" + (ADDONS / "policy.py").read_text()
    rewrite(policy, text)
    rewrite(policies, f"fast_lane: '{fast_lane}'\n")
    options = (f"policy_file={policies}", f"cache=disk:{tmp_path / 'store'}", f"home_listen=127.0.0.1:{home}")
    settings = [part for option in (*options, "home_tls=none") for part in ("--set", option)]
    proxy = mitmdump("-s", str(policy), *settings, mode=f"reverse:{server.url}", script=None)
    assert curl(f"{proxy.url}/").body == b"kept"
    for times in (2, 3):
        rewrite(policy, text + f"# edited for the {times}th time\n")
        wait_until(partial(loaded, proxy, policy, times))
        rewrite(policies, f"fast_lane: '{fast_lane}'\nheader_rules: //X-New/{times}\n")
        wait_until(partial(has, curl, proxy.url, str(times)))
        assert "; hit;" in curl(f"{proxy.url}/").get("cache-status")
        wait_until(partial(is_open, home))
    assert len(server.requests) == 1
    assert proxy.stop() == 0
    assert "rror" not in proxy.log()


def test_open_tunnels_and_sessions_go_on(mitmdump: Start, free_port: Any, tmp_path: Path) -> None:
    """This proxy is both ends of the reverse tunnel; what both agreed on would be lost with either."""
    home, clients, policy = free_port(), free_port(), tmp_path / "mine.py"
    text = f"import sys\nsys.path.insert(0, {str(ADDONS)!r})\n" + (ADDONS / "policy.py").read_text()
    rewrite(policy, text)
    with socket.create_server(("127.0.0.1", 0)) as service:
        target = f"127.0.0.1:{service.getsockname()[1]}"
        ends = [f"home_listen=127.0.0.1:{home}", f"home_clients={clients}=echo", f"work_home=127.0.0.1:{home}"]
        ends += [f"{end}_{name}" for end in ("home", "work") for name in ("tls=secret", f"secret={SECRET}")]
        options = (*ends, f"work_services=echo={target}", f"access_log={tmp_path / 'log'}")
        settings = [part for option in options for part in ("--set", option)]
        proxy = mitmdump("-s", str(policy), *settings, mode="regular", script=None)
        proxy.wait_log("work: connected to home")
        tunnel = socket.create_connection(("127.0.0.1", proxy.port), timeout=30)
        connect(tunnel, target)
        talk(tunnel, tunnelled := service.accept()[0])
        session = socket.create_connection(("127.0.0.1", clients), timeout=30)
        talk(session, served := service.accept()[0])
        rewrite(policy, text + "# edited\n")
        wait_until(partial(loaded, proxy, policy, 2))
        for client, server in ((tunnel, tunnelled), (session, served)):
            talk(client, server)
        with socket.create_connection(("127.0.0.1", clients), timeout=30) as another:
            talk(another, service.accept()[0])
    assert proxy.log().count("work: connected to home") == 1
    assert proxy.stop() == 0
    lines = AccessLines(tmp_path / "log").take(3)
    assert sorted(line["bytes"] for line in lines) == [10, 20, 20], "each is whole, and logged once"
    assert "Traceback" not in proxy.log()


def test_a_script_whose_file_is_gone_stays_loaded(
    mitmdump: Start, origin: Callable[[], Origin], curl: Any, tmp_path: Path
) -> None:
    """As during an upgrade by pip, which removes the old files before it writes the new ones."""
    server, policy, other = origin(), tmp_path / "mine.py", tmp_path / "other.py"
    server.route("/", Answer())
    right = two_scripts(policy, other)
    own = other.read_text()
    settings = ("-s", str(policy), "-s", str(other), "--set", "header_rules=//X-New/1")
    proxy = mitmdump(*settings, mode=f"reverse:{server.url}", script=None)
    for path in (policy, other):
        path.unlink()
        wait_until(partial(is_gone, proxy, path))
    answer = curl(f"{proxy.url}/")
    assert (answer.get("x-new"), answer.get("x-other")) == ("1", "here")
    rewrite(policy, right)  # the same as before
    rewrite(other, own.replace("here", "changed"))
    wait_until(lambda: curl(f"{proxy.url}/").get("x-other") == "changed")
    wait_until(lambda: proxy.log().count(f"Loading script {policy}") == 2)
    assert curl(f"{proxy.url}/").get("x-new") == "1"
    assert [proxy.log().count(f"Loading script {path}") for path in (policy, other)] == [2, 2]
    assert proxy.stop() == 0


def test_a_touched_script_is_loaded_again(mitmdump: Start, tmp_path: Path) -> None:
    """As in mitmproxy: what a script imports or reads may have changed."""
    policy, other = tmp_path / "mine.py", tmp_path / "other.py"
    two_scripts(policy, other)
    proxy = mitmdump("-s", str(policy), "-s", str(other), script=None)
    for path in (policy, other):
        path.touch()
        wait_until(partial(loaded, proxy, path, 2))
    assert proxy.stop() == 0


BROKEN = {
    "syntax": "addons = [",
    "exit": "raise SystemExit('not today')",
    "load": "def load(loader): raise ValueError('not today')",
    "last load": "class Wrong:\n    def load(self, loader): raise ValueError('not today')\naddons.append(Wrong())",
    "configure": "def configure(updated): raise ValueError('not today')",
    "running": "def running(): raise ValueError('not today')",
    "loaded elsewhere": "from proxy_policies.explain.addon import Explain\naddons = build_addons(Explain())",
}


def two_scripts(policy: Path, other: Path) -> str:
    """Write two scripts, and return the first: all policies but one; that one, and a hook."""
    path = f"import sys\nsys.path.insert(0, {str(ADDONS)!r})\n"
    text = path + (ADDONS / "policy.py").read_text().replace("    Explain(),\n", "")
    rewrite(policy, text)
    own = "def responseheaders(flow): flow.response.headers['X-Other'] = 'here'\n"
    chain = "from proxy_policies.addon_chain import build_addons\nfrom proxy_policies.explain.addon import Explain\n"
    rewrite(other, f"{path}{chain}addons = build_addons(Explain())\n{own}")
    return text


@pytest.mark.parametrize("fast_lane", ["on"])
def test_a_broken_edit_changes_nothing(
    mitmdump: Start, origin: Callable[[], Origin], curl: Any, tmp_path: Path, fast_lane: str
) -> None:
    server, policy, other = origin(), tmp_path / "mine.py", tmp_path / "other.py"
    server.route("/", lambda _: Answer(headers=[("Cache-Control", "max-age=600")], body=b"kept"))
    right = two_scripts(policy, other)
    options = ("header_rules=//X-New/1", f"fast_lane={fast_lane}", f"cache=disk:{tmp_path / 'store'}")
    settings = [part for option in options for part in ("--set", option)]
    proxy = mitmdump("-s", str(policy), "-s", str(other), *settings, mode=f"reverse:{server.url}", script=None)

    def works() -> bool:
        answer = curl(f"{proxy.url}/")
        return bool((answer.body, answer.get("x-new"), answer.get("x-other")) == (b"kept", "1", "here"))

    def goes_on(times: int) -> bool:
        return proxy.log().count("stays in use") == times

    assert works()
    for times, (kind, edit) in enumerate(BROKEN.items(), 1):
        rewrite(policy, f"{right}\n# {kind}\n{edit}\n")
        wait_until(partial(goes_on, times), what=kind)
        wait_until(works, what=kind)
    rewrite(other, BROKEN["syntax"])
    wait_until(partial(goes_on, times + 1))
    assert works()
    rewrite(policy, f"{right}\ndef responseheaders(flow): flow.response.headers['X-Edited'] = 'yes'\n")
    wait_until(lambda: curl(f"{proxy.url}/").get("x-edited") == "yes")
    assert works()
    assert len(re.findall("error in script .*stays in use", proxy.log())) == times + 1
    # mitmproxy logs what the script's own `configure` raises when options come with it
    assert proxy.log().count("Traceback") == proxy.log().count("Addon error: not today") <= 1
    assert len(server.requests) == 1
    assert proxy.stop() == 0


WAITS = """
import asyncio, pathlib
async def server_connect(data):
    pathlib.Path({asked!r}).touch()
    while not pathlib.Path({permitted!r}).exists():
        await asyncio.sleep(0.01)
"""


def test_a_tunnel_that_is_being_opened_stays_untouched(
    mitmdump: Start, origin: Callable[..., Origin], server_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    server, policy, waits = origin(server_tls), tmp_path / "mine.py", tmp_path / "waits.py"
    asked, permitted = tmp_path / "asked", tmp_path / "permitted"
    text = f"import sys\nsys.path.insert(0, {str(ADDONS)!r})\n" + (ADDONS / "policy.py").read_text()
    rewrite(policy, text)
    waits.write_text(WAITS.format(asked=str(asked), permitted=str(permitted)))
    proxy = mitmdump("-s", str(policy), "-s", str(waits), script=None)
    with ThreadPoolExecutor(1) as pool:
        shown_to_client = pool.submit(issuer, proxy.port, f"localhost:{server.port}", "localhost")
        wait_until(asked.exists)
        rewrite(policy, text + "# edited\n")
        wait_until(partial(loaded, proxy, policy, 2))
        permitted.touch()
        assert shown_to_client.result() == "trustme"
