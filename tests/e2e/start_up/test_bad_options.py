"""A wrong value of any option: one line that quotes it, and no proxy without its policies."""

import os
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.mitmdump import ADDONS, Mitmdump, Running
from tests.support.workers import Workers

Start = Callable[..., Mitmdump]

BAD = {
    "connect_timeout": "soon",
    "via_name": "my proxy",
    "forwarded_headers": "sometimes",
    "forwarded_trust": "everybody",
    "inspect_hosts": ".*\\.example",
    "inspect_fail_open": "maybe",
    "inspect_fail_open_ttl": "long",
    "header_rules": "nonsense",
    "replay_mode": "twice",
    "capture_filter": "~~",
    "capture_redact": "everything",
    "capture_max_body": "much",
    "cache": "drum",
    "cache_size": "lots",
    "cache_max_object": "large",
    "cache_strict": "maybe",
    "cache_rules": "//tll=60",
    "home_listen": "nowhere:port",
    "home_clients": "ssh",
    "home_limits": "few",
    "home_keep": "some",
    "tunnel_heartbeat": "often",
    "work_home": "home",
    "work_services": "ssh",
    "work_pool": "many",
    "encode": "lzma",
    "encode_min_size": "small",
    "encode_rules": "//lzma",
    "fast_lane": "fast",
}

ACCEPTED_BY_MITMPROXY = {
    "body_size_limit": "-1",
    "connection_strategy": "hasty",
    "dns_name_servers": "dns.example",
    "hardump": "/no/such/folder/x.har",
    "rfile": "/",
    "server_replay_extra": "999",
    "stream_large_bodies": "-1",
    "tls_version_client_max": "TLS1",
}
"""Wrong values of its own options, at which it would fail when it first uses them."""


def test_every_wrong_value_is_quoted_in_one_line(mitmdump: Start) -> None:
    bad = BAD | ACCEPTED_BY_MITMPROXY
    settings = [part for name, value in bad.items() for part in ("--set", f"{name}={value}")]
    proxy = mitmdump(*settings, "--set", "dashboard=0", wait=False)
    assert proxy.wait_exit() == 1
    log = proxy.log()
    for name, value in bad.items():
        lines = [line for line in log.splitlines() if f"option {name}=" in line]
        assert len(lines) == 1, (name, log)
        assert repr(value) in lines[0]
        assert len(lines[0].split(": ", 1)[1]) > 10, lines[0]
    assert "Traceback" not in log
    assert "option " in log.splitlines()[-1], "a refusal is the last that is said"


def test_a_port_in_use_is_the_last_that_is_said(mitmdump: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        proxy = mitmdump("--listen-port", str(taken.getsockname()[1]), wait=False)
        assert proxy.wait_exit() == 1
    assert "failed to listen on" in "\n".join(proxy.log().splitlines()[-2:])


def test_half_a_ca_is_the_last_that_is_said(tmp_path: Path) -> None:
    (tmp_path / ".mitmproxy").mkdir()
    (tmp_path / ".mitmproxy/mitmproxy-ca.pem").write_text("-----BEGIN RSA PRIVATE KEY-----\n")
    command = [str(Path(sys.executable).with_name("mitmdump")), "-n", "-s", str(ADDONS / "policy.py")]
    proxy = Running(command, os.environ | {"HOME": str(tmp_path)})
    assert proxy.wait_exit() == 1
    assert "mitmproxy-ca.pem is not a key with its certificate" in proxy.log().splitlines()[-1]
    assert "Traceback" not in proxy.log()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--set", "cache_sise=1m"), "unknown option 'cache_sise'; did you mean 'cache_size'"),
        (("--set", "cache_size=1m", "--set", "cache_size=2m"), "option cache_size: takes one value, not 2"),
        (("--set", "cache_size"), "option cache_size: needs a value"),
        (("--set", "ssl_verify_upstream_trusted_ca=/no"), "option ssl_verify_upstream_trusted_ca='/no': No such file"),
    ],
    ids=["misspelt", "repeated", "without a value", "absent file"],
)
def test_other_mistakes(mitmdump: Start, arguments: tuple[str, ...], complaint: str) -> None:
    proxy = mitmdump(*arguments, wait=False)
    assert proxy.wait_exit() == 1
    proxy.wait_log(re.escape(complaint))
    assert "Traceback" not in proxy.log()


UNKNOWN = {
    "nope=1": "unknown option 'nope'; --options lists all options",
    "nope": "unknown option 'nope'; --options lists all options",
    "proxyaut=user:secret": "unknown option 'proxyaut'; did you mean 'proxyauth'?",
    "proxy_auth=user:secret": "unknown option 'proxy_auth'; did you mean 'proxyauth'?",
    "block_globel=false": "unknown option 'block_globel'; did you mean 'block_global'?",
    "cache_sise=1m": "unknown option 'cache_sise'; did you mean 'cache_size'?",
    "Cache=off": "unknown option 'Cache'; did you mean 'cache'?",
}


def test_every_unknown_option_is_named(mitmdump: Start) -> None:
    proxy = mitmdump(*(part for spec in UNKNOWN for part in ("--set", spec)), wait=False)
    assert proxy.wait_exit() == 1
    for line in UNKNOWN.values():
        assert proxy.log().count(line) == 1, proxy.log()
    assert "secret" not in proxy.log()
    assert "Traceback" not in proxy.log()
    assert "policies:" not in proxy.log(), "said as if it went on"


@pytest.mark.parametrize(
    ("script", "program", "arguments"),
    [
        ("policy.py", "mitmdump", ()),
        ("policy.py", "mitmdump", ("-s", str(ADDONS / "headers.py"))),
        ("policy.py", "mitmdump", ("--mode", "reverse:http://127.0.0.1:9")),
        ("work.py", "mitmdump", ("-n",)),
        ("headers.py", "mitmdump", ()),
        ("policy.py", "mitmweb", ("--set", "web_port=0", "--no-web-open-browser")),
    ],
    ids=["policy", "two scripts", "reverse", "work", "one policy", "mitmweb"],
)
@pytest.mark.parametrize("spec", ["proxyaut=user:secret", "inspect_host=a"])
def test_an_unknown_option_is_the_last_line(
    mitmdump: Start, script: str, program: str, arguments: tuple[str, ...], spec: str
) -> None:
    proxy = mitmdump(*arguments, "--set", spec, script=script, program=program, wait=False)
    assert proxy.wait_exit() == 1
    *_, last = proxy.log().splitlines()
    assert f"unknown option '{spec.partition('=')[0]}'" in last


def test_workers_refuse_it_too(tmp_path: Path) -> None:
    workers = Workers(tmp_path, "2", *("-s", str(ADDONS / "policy.py"), "--set", "proxyaut=user:secret", "-p", "0"))
    try:
        workers.wait_until(lambda: "did you mean 'proxyauth'?" in workers.text, what="the refusal")
    finally:
        workers.stop()
    assert "policies:" not in workers.text


def test_config_yaml_may_have_options_of_other_programs_and_scripts(mitmdump: Start, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("console_palette: light\nweb_debug: true\nof_a_script_left_out: 1\n")
    proxy = mitmdump(confdir=tmp_path)
    proxy.wait_log("unknown option 'of_a_script_left_out'")
    assert proxy.stop() == 0
    assert "console_palette" not in proxy.log()
    assert "web_debug" not in proxy.log()


def test_config_yaml_with_a_misspelt_option(mitmdump: Start, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("proxyaut: user:secret\n")
    proxy = mitmdump(confdir=tmp_path, wait=False)
    assert proxy.wait_exit() == 1
    proxy.wait_log(re.escape("unknown option 'proxyaut'; did you mean 'proxyauth'?"))


def test_an_option_of_a_script_that_is_loaded_later_is_known(mitmdump: Start, tmp_path: Path) -> None:
    (tmp_path / "later.py").write_text("def load(loader):\n    loader.add_option('my_own', str, '', '')\n")
    proxy = mitmdump("-s", str(tmp_path / "later.py"), "--set", "my_own=1")
    proxy.wait_log("policies:")
    assert proxy.stop() == 0
    assert "unknown" not in proxy.log()


def test_config_yaml_may_write_scalars_as_yaml_does(mitmdump: Start, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("cache_size: 5000000\ncache_strict: true\nencode: gzip\n")
    proxy = mitmdump(confdir=tmp_path)
    proxy.wait_log(r"compression \(gzip\)")
    assert proxy.stop() == 0


def test_config_yaml_with_a_wrong_type(mitmdump: Start, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("cache_size: {large: 1}\n")
    proxy = mitmdump(confdir=tmp_path, wait=False)
    assert proxy.wait_exit() == 1
    assert re.search(r"option cache_size: .*neither text nor a number", proxy.log())


def test_two_scripts_with_the_same_policy_say_so(mitmdump: Start) -> None:
    proxy = mitmdump("-s", str(ADDONS / "cache.py"), wait=False)
    assert proxy.wait_exit() == 1
    proxy.wait_log(re.escape("already loaded: cache; policy.py has every policy"))
    assert "Traceback" not in proxy.log()


def test_what_a_policy_file_cannot_have_is_said_once(mitmdump: Start, tmp_path: Path) -> None:
    """The options of the file are configured by themselves, and again with all others."""
    file = tmp_path / "policies.yaml"
    file.write_text(f"cache: disk:{file}/x\naccess_log: {tmp_path}/no/x\n")
    proxy = mitmdump("--set", f"policy_file={file}", wait=False)
    assert proxy.wait_exit() == 1
    for text in ("policies.yaml/x: Not a directory", "no/x': No such file or directory"):
        assert proxy.log().count(text) == 1, proxy.log()
