"""pytest's hooks and the fixtures of the plugin `proxy_policies`.

    def test_login(http_capture):                    # tests/captures/test_shop.test_login.har
        requests.get("http://shop.test/")

    @pytest.mark.http_capture("shop.har", mode="strict", ignore=["query:t"])
    def test_shop(): …

Clients are not patched: they find a real proxy in the environment, one process for the session.
"""

import json
import shutil
import tempfile
import urllib.request
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.pytest_plugin import network
from proxy_policies.capture.pytest_plugin.naming import capture_path
from proxy_policies.capture.pytest_plugin.wanted import LISTS, RECORD_MODES, SWITCHES, WORDS, require_words, wanted
from proxy_policies.capture.runner import client_environment
from proxy_policies.capture.runner.capture_claims import CaptureClaims
from proxy_policies.capture.runner.session_proxy import CAPTURES, SessionProxy, Wanted

TRUSTED_CA = "ssl_verify_upstream_trusted_ca"
SCOPES = ("function", "class", "module", "session")
FIXTURES = ("http_capture", *(f"http_capture_{scope}" for scope in SCOPES[1:]))
_FAILED = pytest.StashKey[bool]()
_INI = pytest.StashKey[Mapping[str, Any]]()
_TEXTS = {
    "record_mode": "auto: replay, and record what has no capture yet; replay, new, record; or vcrpy's words",
    "mode": "how recordings are used: once, loop, new or strict",
    "ignore": "what does not count in requests, one a line: query:NAME, form:NAME, json:JSONPATH, body, host",
    "redact": "further secrets, one a line: header:NAME, query:NAME, json:JSONPATH, regex:PATTERN, name:NAME",
    "set": "options of the proxy, NAME=VALUE, one a line",
    "exact": "ids, times and random values in requests must be those that were recorded",
    "record_on_exception": "keep what a failed test recorded",
    "folder": "where captures are, from the folder of the test's file",
    "block_network": "refuse sockets to other hosts in every test",
    "allowed_hosts": "hosts that block_network lets through, regular expressions, one a line",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the command line, and those of the ini file."""
    group = parser.getgroup("http capture")
    group.addoption("--http-capture", choices=list(RECORD_MODES), help=_TEXTS["record_mode"])
    group.addoption("--http-capture-block-network", action="store_true", help=_TEXTS["block_network"])
    group.addoption("--http-capture-allowed-hosts", default="", metavar="HOST,…", help="hosts that are let through")
    for name, text in _TEXTS.items():
        is_list, is_switch = name in (*LISTS, "allowed_hosts"), name in (*SWITCHES, "block_network")
        if is_list:
            parser.addini(f"http_capture_{name}", text, "linelist", default=[])
        elif is_switch:
            parser.addini(f"http_capture_{name}", text, "bool", default=False)
        else:
            parser.addini(f"http_capture_{name}", text, "string", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, and read the ini file's options."""
    arguments = ", ".join(f"{word}=…" for word in WORDS)
    config.addinivalue_line("markers", f"http_capture({arguments}): record and replay its HTTP")
    config.addinivalue_line("markers", "block_network(allowed_hosts=()): refuse sockets to other hosts")
    names = ("record_mode", "mode", *LISTS, *SWITCHES)
    config.stash[_INI] = {name: value for name in names if (value := config.getini(f"http_capture_{name}"))}
    try:
        wanted(None, config.stash[_INI])
        network.HostCheck(_allowed_everywhere(config))
    except ValueError as error:
        raise pytest.UsageError(f"http_capture_{error}") from None


@dataclass(frozen=True, slots=True)
class HttpCapture:
    """What a test gets: where its capture is, whether it is recorded, and what clients need that read no environment.

    `proxy` is the proxy's URL, `ca` a file with the certificates to trust.
    """

    path: Path
    is_recording: bool
    proxy: str
    ca: Path


@pytest.fixture(scope="session")
def http_capture_config() -> dict[str, Any]:
    """Return what is wanted of every capture, by the marker's words: to be overridden in a conftest.py."""
    return {}


@pytest.fixture(scope="session")
def _http_capture_proxy(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SessionProxy]:
    folder = Path(tempfile.mkdtemp(prefix="http-capture-"))
    base = tmp_path_factory.getbasetemp()
    claims = CaptureClaims((base.parent if _is_worker(pytestconfig) else base) / "http-capture")
    try:
        with SessionProxy(folder, claims) as proxy:
            yield proxy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_worker(config: pytest.Config) -> bool:
    """Return whether this is one of several processes of pytest-xdist's, whose temporary folders have one parent."""
    return hasattr(config, "workerinput")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give marked tests the fixture, unless they have one of a wider scope."""
    for item in items:
        names = getattr(item, "fixturenames", None)
        if item.get_closest_marker("http_capture") and names is not None and not set(FIXTURES) & set(names):
            names.insert(0, "http_capture")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note whether a test failed, for what is kept of its recording, or of its class's, module's or session's."""
    report = yield
    for node in item.listchain() if report.failed else ():
        node.stash[_FAILED] = True
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Keep a test from the network, if it is to be."""
    marker = item.get_closest_marker("block_network")
    everywhere = item.config.getoption("--http-capture-block-network") or item.config.getini(
        "http_capture_block_network"
    )
    if marker is None and not everywhere:
        return (yield)
    allowed = [*_allowed_everywhere(item.config), *_allowed_by(marker)]
    with network.blocked(allowed):
        return (yield)


def _allowed_everywhere(config: pytest.Config) -> list[str]:
    named = config.getoption("--http-capture-allowed-hosts").split(",")
    return [*config.getini("http_capture_allowed_hosts"), *filter(None, named)]


def _allowed_by(marker: pytest.Mark | None) -> list[str]:
    """Return the hosts that a marker names; `pytest_runtest_setup` fails for what it says wrongly."""
    hosts = marker.kwargs.get("allowed_hosts", ()) if marker else ()
    return [hosts] if isinstance(hosts, str) else list(hosts)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose marker `block_network` has a word that it does not take."""
    marker = item.get_closest_marker("block_network")
    if marker is not None:
        try:
            require_words("block_network", [*marker.kwargs, *map(str, marker.args)], ("allowed_hosts",))
        except ValueError as error:
            pytest.fail(str(error), pytrace=False)


@pytest.fixture
def http_capture(request: pytest.FixtureRequest) -> Iterator[HttpCapture]:
    """Record or replay the HTTP of this test; it fails when it asked for what was not recorded, or for nothing."""
    yield from _captured(request)


@pytest.fixture(scope="class")
def http_capture_class(request: pytest.FixtureRequest) -> Iterator[HttpCapture]:
    """Record or replay the HTTP of a class's tests, in one capture."""
    yield from _captured(request)


@pytest.fixture(scope="module")
def http_capture_module(request: pytest.FixtureRequest) -> Iterator[HttpCapture]:
    """Record or replay the HTTP of a module's tests, in one capture."""
    yield from _captured(request)


@pytest.fixture(scope="session")
def http_capture_session(request: pytest.FixtureRequest) -> Iterator[HttpCapture]:
    """Record or replay the HTTP of all tests, in one capture."""
    yield from _captured(request)


def _captured(request: pytest.FixtureRequest) -> Iterator[HttpCapture]:
    node, proxy = request.node, request.getfixturevalue("_http_capture_proxy")
    want = _wanted(request)
    path = _path(request, want)
    with ExitStack() as stack:
        lock = stack.enter_context(ExitStack())
        lock.enter_context(proxy.claims.one_at_a_time(path))
        mode = _mode(want, path, proxy)
        if mode not in ("record", "new"):
            lock.close()
        elif request.scope == "session" and _is_worker(request.config):
            pytest.fail("the capture of a whole session is recorded by one process: without -n", pytrace=False)
        environ = stack.enter_context(pytest.MonkeyPatch.context())
        if _is_default(getattr(urllib.request, "_opener", None)):
            environ.setattr(urllib.request, "_opener", None)  # it has the proxies of its first use
        for name, value in client_environment.environment({}, proxy.url, proxy.bundle, proxy.ca).items():
            environ.setenv(name, value)
        report = _begin(proxy, path, mode, node.nodeid or "the session", want)
        try:
            yield HttpCapture(path, mode == "record", proxy.url, proxy.bundle)
        finally:
            recorded = proxy.end(keep=want.record_on_exception or not node.stash.get(_FAILED, False))
    if proxy.failures and isinstance(node, pytest.Item):
        node.add_report_section("teardown", "http_capture", "\n".join(map(_explained, proxy.failures)))
    outcome = json.loads(report.read_text()) if report.exists() else {}
    _fail_on_misses(outcome, mode)
    if not node.stash.get(_FAILED, False):
        _fail_on_nothing(outcome.get("played", 0) + recorded, proxy.url)


def _is_default(opener: Any) -> bool:
    """Return whether `urlopen` made it itself, rather than somebody installed it."""
    made: Any = urllib.request.build_opener()
    kinds = {type(handler) for handler in made.handlers} | {urllib.request.ProxyHandler}
    return opener is None or {type(handler) for handler in opener.handlers} <= kinds


def _explained(failure: str) -> str:
    """Return why a request failed, with what to do about a certificate of a private CA."""
    if "certificate verify failed" in failure.lower():
        return f"{failure}; name its CA in the ini file: http_capture_set = {TRUSTED_CA}=FILE"
    return failure


def _begin(proxy: SessionProxy, path: Path, mode: str, name: str, want: Wanted) -> Path:
    try:
        return proxy.begin(path, mode, name, want)
    except CaptureError as error:
        pytest.fail(f"http_capture: {error}", pytrace=False)


def _wanted(request: pytest.FixtureRequest) -> Wanted:
    """Return what is wanted of a capture. Fails for words that nobody takes."""
    marker = request.node.get_closest_marker("http_capture")
    given = dict(marker.kwargs) if marker else {}
    more = request.getfixturevalue("http_capture_config")
    try:
        if marker and len(marker.args) > 1:
            raise ValueError("http_capture takes one path")
        require_words("http_capture", given, WORDS)
        require_words("http_capture_config", more, WORDS)
        named = {"path": marker.args[0]} if marker and marker.args else {}
        return wanted(request.config.getoption("--http-capture"), given | named, more, request.config.stash[_INI])
    except ValueError as error:
        pytest.fail(str(error), pytrace=False)


def _path(request: pytest.FixtureRequest, want: Wanted) -> Path:
    file = request.config.rootpath / "session" if request.scope == "session" else request.path
    folder = file.parent / (request.config.getini("http_capture_folder") or CAPTURES)
    return capture_path(folder, file, request.node.nodeid, want.path)


def _mode(want: Wanted, path: Path, proxy: SessionProxy) -> str:
    """Return the mode of this test: `record`, `new`, or how its recording is used up."""
    is_ours = proxy.claims.was_recorded(path)  # another test has begun it in this run: this one adds to it
    if want.record_mode == "record" or (want.record_mode == "auto" and (is_ours or not path.exists())):
        return "record"
    return "new" if want.record_mode == "new" else want.mode


def _fail_on_misses(report: dict[str, Any], mode: str) -> None:
    lines = [f"{miss['url']}: {miss['why']}" for miss in report.get("misses", [])]
    lines += [f"never requested: {text}" for text in report.get("unused", []) if mode == "strict"]
    if lines:
        lines.append("record it anew with --http-capture=record, or add what is missing with --http-capture=new")
        pytest.fail("the capture does not fit:\n" + "\n".join(lines), pytrace=False)


def _fail_on_nothing(exchanges: int, proxy: str) -> None:
    """Fail a test whose requests, if there were any, went to the network."""
    if not exchanges:
        hint = client_environment.HINT.format(port=proxy.rpartition(":")[2], proxy=proxy)
        pytest.fail(
            f"{hint}\nA client that was made before the fixture has no proxy: make it in the test.", pytrace=False
        )
