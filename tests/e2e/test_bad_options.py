"""A wrong value of any option: one line that quotes it, and no proxy without its policies."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.mitmdump import Mitmdump

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


def test_every_wrong_value_is_quoted_in_one_line(mitmdump: Start) -> None:
    settings = [part for name, value in BAD.items() for part in ("--set", f"{name}={value}")]
    proxy = mitmdump(*settings, wait=False)
    assert proxy.wait_exit() == 1
    log = proxy.log()
    for name, value in BAD.items():
        lines = [line for line in log.splitlines() if f"option {name}=" in line]
        assert len(lines) == 1, (name, log)
        assert repr(value) in lines[0]
        assert len(lines[0].split(": ", 1)[1]) > 10, lines[0]
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--set", "cache_sise=1m"), "unknown option 'cache_sise'; did you mean 'cache_size'"),
        (("--set", "cache_size=1m", "--set", "cache_size=2m"), "option cache_size: takes one value, not 2"),
        (("--set", "cache_size"), "option cache_size: needs a value"),
    ],
    ids=["misspelt", "repeated", "without a value"],
)
def test_other_mistakes(mitmdump: Start, arguments: tuple[str, ...], complaint: str) -> None:
    proxy = mitmdump(*arguments, wait=False)
    assert proxy.wait_exit() == 1
    assert complaint in proxy.log()
    assert "Traceback" not in proxy.log()


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
    addons = Path(__file__).parents[2] / "addons"
    proxy = mitmdump("-s", str(addons / "cache.py"), wait=False)
    assert proxy.wait_exit() == 1
    assert "already loaded: cache; policy.py has every policy" in proxy.log()
    assert "Traceback" not in proxy.log()
