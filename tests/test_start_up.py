"""What only an option needs is imported with that option, not at every start."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ADDONS = Path(__file__).parents[1] / "addons"
STARTED = """
import runpy, sys
from mitmproxy.test import taddons
with taddons.context(*runpy.run_path("policy.py")["addons"]) as context:
    context.options.update(**{options})
    context.options.changed.send(updated=context.options.keys())  # as at a start, where every default is read
    print(*[name for name, module in sys.modules.items() if type(module).__name__ != "_LazyModule"], sep="\\n")
"""


def started(**options: str | list[str]) -> set[str]:
    """Name the modules whose code has run once policy.py is loaded with some options."""
    python = [sys.executable, "-c", STARTED.format(options=options)]
    ran = subprocess.run(python, cwd=ADDONS, capture_output=True, text=True, timeout=60, check=True)
    return set(ran.stdout.split())


@pytest.fixture(scope="module")
def by_default() -> set[str]:
    return started()


@pytest.mark.parametrize("module", ["proxy_policies.cache.addon", "proxy_policies.capture.record.addon"])
def test_a_default_start_loads_the_policies(by_default: set[str], module: str) -> None:
    assert module in by_default


LIBRARIES = ["jsonpath", "http_sf", "sqlite3", "redis", "isal.isal_zlib", "playwright", "asyncssh"]
OURS = [
    *("cache.stores.disk.store", "cache.stores.redis.store", "encoding.codecs", "policy_file.document"),
    *("capture.har.reader", "capture.har.writer", "capture.record.recorder", "capture.replay.cassette"),
    *("capture.secrets.redact", "capture.secrets.decider", "headers.rule", "proxy_protocol.header"),
    *(
        "reverse_tunnel.home.server",
        "reverse_tunnel.identity",
        "reverse_tunnel.protocol.messages",
        "reverse_tunnel.work.agent",
    ),
    *("access_log.log_file", "counting.collector", "dashboard.server", "metrics.families", "mirror.copies"),
]


@pytest.mark.parametrize("module", [*LIBRARIES, *(f"proxy_policies.{name}" for name in OURS)])
def test_a_default_start_leaves_out(by_default: set[str], module: str) -> None:
    assert importlib.util.find_spec(module), "a name that is none is left out always"
    assert module not in by_default


@pytest.mark.parametrize(
    ("options", "module"),
    [
        ({"capture_file": "{tmp}/made.har"}, "proxy_policies.capture.record.recorder"),
        ({"replay_file": "{tmp}/none.har", "replay_mode": "new"}, "proxy_policies.capture.replay.cassette"),
        ({"capture_redact": ["json:$.name"]}, "jsonpath"),
        ({"cache": "disk:{tmp}/cache"}, "sqlite3"),
        ({"header_rules": ["//X-Foo/bar"]}, "proxy_policies.headers.rule"),
        ({"policy_file": "{tmp}/policy.yaml"}, "proxy_policies.policy_file.document"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_an_option_brings(tmp_path: Path, options: dict[str, str | list[str]], module: str) -> None:
    (tmp_path / "policy.yaml").write_text("cache: off\n")
    fitted = {name: text.format(tmp=tmp_path) if isinstance(text, str) else text for name, text in options.items()}
    assert module in started(**fitted, confdir=str(tmp_path))
