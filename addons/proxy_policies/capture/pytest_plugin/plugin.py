"""pytest's hooks and the fixtures of the plugin `proxy_policies`.

    def test_login(http_capture):                    # tests/captures/test_shop.test_login.har
        requests.get("http://shop.test/")

    @pytest.mark.http_capture("shop.har", mode="strict", ignore=["query:t"])
    def test_shop(): …

Clients are not patched: environment variables point them to a real proxy, one process for the session.
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
from proxy_policies.capture.pytest_plugin.capture_options import (
    BOOLEANS,
    LISTS,
    OPTION_NAMES,
    RECORD_MODES,
    merge_options,
    require_words,
)
from proxy_policies.capture.pytest_plugin.naming import capture_path
from proxy_policies.capture.runner import client_environment
from proxy_policies.capture.runner.capture_claims import CaptureClaims
from proxy_policies.capture.runner.session_proxy import CAPTURES, CaptureOptions, SessionProxy

TRUSTED_CA = "ssl_verify_upstream_trusted_ca"
SCOPES = ("function", "class", "module", "session")
FIXTURES = ("http_capture", *(f"http_capture_{scope}" for scope in SCOPES[1:]))
_FAILED = pytest.StashKey[bool]()
_INI = pytest.StashKey[Mapping[str, Any]]()
_HELPS = {
    "record_mode": "auto: replay, or record if there is no capture; replay, new, record; or the modes of vcrpy",
    "mode": "how recordings are used: once, loop, new or strict",
    "ignore": "parts of requests to ignore, one per line: query:NAME, form:NAME, json:JSONPATH, body, host",
    "redact": "further secrets, one per line: header:NAME, query:NAME, json:JSONPATH, regex:PATTERN, name:NAME",
    "set": "options of the proxy, NAME=VALUE, one per line",
    "exact": "require ids, times and random values in requests as recorded",
    "record_on_exception": "keep recordings of failed tests",
    "folder": "folder of captures, relative to that of the test's file",
    "block_network": "block connections to other hosts in all tests",
    "allowed_hosts": "hosts that block_network allows, regular expressions, one per line",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the command line, and those of the ini file."""
    group = parser.getgroup("http capture")
    group.addoption("--http-capture", choices=list(RECORD_MODES), help=_HELPS["record_mode"])
    group.addoption("--http-capture-block-network", action="store_true", help=_HELPS["block_network"])
    group.addoption("--http-capture-allowed-hosts", default="", metavar="HOST,…", help="hosts that are allowed")
    for name, text in _HELPS.items():
        is_list, is_boolean = name in (*LISTS, "allowed_hosts"), name in (*BOOLEANS, "block_network")
        if is_list:
            parser.addini(f"http_capture_{name}", text, "linelist", default=[])
        elif is_boolean:
            parser.addini(f"http_capture_{name}", text, "bool", default=False)
        else:
            parser.addini(f"http_capture_{name}", text, "string", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, and read the ini file's options."""
    arguments = ", ".join(f"{name}=…" for name in OPTION_NAMES)
    config.addinivalue_line("markers", f"http_capture({arguments}): record and replay the HTTP of the test")
    config.addinivalue_line("markers", "block_network(allowed_hosts=()): block connections to other hosts")
    names = ("record_mode", "mode", *LISTS, *BOOLEANS)
    config.stash[_INI] = {name: value for name in names if (value := config.getini(f"http_capture_{name}"))}
    try:
        merge_options(None, config.stash[_INI])
        network.HostCheck(_allowed_everywhere(config))
    except ValueError as error:
        raise pytest.UsageError(f"http_capture_{error}") from None


@dataclass(frozen=True, slots=True)
class HttpCapture:
    """The value of the fixtures, also for clients that do not read the environment.

    `path` is the capture, `proxy` the proxy's URL, and `ca` a file with the certificates to trust.
    """

    path: Path
    is_recording: bool
    proxy: str
    ca: Path


@pytest.fixture(scope="session")
def http_capture_config() -> dict[str, Any]:
    """Return options for all captures, with the names of the marker's: override it in a conftest.py."""
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
    """Return whether this is a process of pytest-xdist; their temporary folders have one parent."""
    return hasattr(config, "workerinput")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Add the fixture to marked tests, unless they use one of a wider scope."""
    for item in items:
        names = getattr(item, "fixturenames", None)
        if item.get_closest_marker("http_capture") and names is not None and not set(FIXTURES) & set(names):
            names.insert(0, "http_capture")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note that a test with a capture failed, for it and its class, module and session: they are not kept then."""
    report = yield
    has_capture = not set(FIXTURES).isdisjoint(getattr(item, "fixturenames", ()))
    for node in item.listchain() if report.failed and has_capture else ():
        node.stash[_FAILED] = True
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Block the network for a test, if an option or its marker says so."""
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
    """Return the hosts of a marker, which `pytest_runtest_setup` checks."""
    hosts = marker.kwargs.get("allowed_hosts", ()) if marker else ()
    return [hosts] if isinstance(hosts, str) else list(hosts)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose marker `block_network` has an unknown argument."""
    marker = item.get_closest_marker("block_network")
    if marker is not None:
        try:
            require_words("block_network", [*marker.kwargs, *map(str, marker.args)], ("allowed_hosts",))
        except ValueError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture
def http_capture(request: pytest.FixtureRequest) -> Iterator[HttpCapture]:
    """Record or replay the HTTP of this test; fail it if requests were not recorded, or there were none."""
    yield from _capture(request)


@pytest.fixture(scope="class")
def http_capture_class(request: pytest.FixtureRequest) -> Iterator[HttpCapture]:
    """Record or replay the HTTP of a class's tests, in one capture."""
    yield from _capture(request)


@pytest.fixture(scope="module")
def http_capture_module(request: pytest.FixtureRequest) -> Iterator[HttpCapture]:
    """Record or replay the HTTP of a module's tests, in one capture."""
    yield from _capture(request)


@pytest.fixture(scope="session")
def http_capture_session(request: pytest.FixtureRequest) -> Iterator[HttpCapture]:
    """Record or replay the HTTP of all tests, in one capture."""
    yield from _capture(request)


def _capture(request: pytest.FixtureRequest) -> Iterator[HttpCapture]:
    node, proxy = request.node, request.getfixturevalue("_http_capture_proxy")
    options = _options(request)
    path = _path(request, options)
    with ExitStack() as stack:
        lock = stack.enter_context(ExitStack())
        lock.enter_context(proxy.claims.recording_lock(path))
        mode = _mode(options, path, proxy)
        if mode not in ("record", "new"):
            lock.close()
        elif request.scope == "session" and _is_worker(request.config):
            pytest.fail("the capture of a whole session is recorded by one process: without -n", pytrace=False)
        environ = stack.enter_context(pytest.MonkeyPatch.context())
        if _is_default(getattr(urllib.request, "_opener", None)):
            environ.setattr(urllib.request, "_opener", None)  # it has the proxies of its first use
        for name, value in client_environment.environment({}, proxy.url, proxy.bundle, proxy.ca).items():
            environ.setenv(name, value)
        report = _begin_test(proxy, path, mode, node.nodeid or "the session", options)
        try:
            yield HttpCapture(path, mode == "record", proxy.url, proxy.bundle)
        finally:
            recorded = proxy.end_test(keep=options.record_on_exception or not node.stash.get(_FAILED, False))
    if proxy.failures and isinstance(node, pytest.Item):
        node.add_report_section("teardown", "http_capture", "\n".join(map(_explained, proxy.failures)))
    if proxy.stopped:
        pytest.fail(f"recording into {path} stopped: {proxy.stopped}; nothing of it is kept", pytrace=False)
    outcome = json.loads(report.read_text()) if report.exists() else {}
    _fail_on_misses(outcome, mode)
    if not node.stash.get(_FAILED, False):
        _fail_on_nothing(outcome.get("played", 0) + recorded, proxy.url)


def _is_default(opener: Any) -> bool:
    """Return whether an opener is the default one of `urlopen`, rather than one that was installed."""
    default: Any = urllib.request.build_opener()
    kinds = {type(handler) for handler in default.handlers} | {urllib.request.ProxyHandler}
    return opener is None or {type(handler) for handler in opener.handlers} <= kinds


def _explained(failure: str) -> str:
    """Return why a request failed, with what to do about a certificate of a private CA."""
    if "certificate verify failed" in failure.lower():
        return f"{failure}; name its CA in the ini file: http_capture_set = {TRUSTED_CA}=FILE"
    return failure


def _begin_test(proxy: SessionProxy, path: Path, mode: str, name: str, options: CaptureOptions) -> Path:
    if mode not in ("record", "new") and not path.exists():
        pytest.fail(f"http_capture: not recorded yet, --http-capture=once records it: {path}", pytrace=False)
    try:
        return proxy.begin_test(path, mode, name, options)
    except CaptureError as error:
        failure = str(error)
    pytest.fail(f"http_capture: {failure}", pytrace=False)


def _options(request: pytest.FixtureRequest) -> CaptureOptions:
    """Return the options of a capture. Fails the test for unknown ones."""
    marker = request.node.get_closest_marker("http_capture")
    marked = dict(marker.kwargs) if marker else {}
    configured = request.getfixturevalue("http_capture_config")
    try:
        if marker and len(marker.args) > 1:
            raise ValueError("http_capture takes one path")
        require_words("http_capture", marked, OPTION_NAMES)
        require_words("http_capture_config", configured, OPTION_NAMES)
        named = {"path": marker.args[0]} if marker and marker.args else {}
        chosen = request.config.getoption("--http-capture")
        return merge_options(chosen, marked | named, configured, request.config.stash[_INI])
    except ValueError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _path(request: pytest.FixtureRequest, options: CaptureOptions) -> Path:
    file = request.config.rootpath / "session" if request.scope == "session" else request.path
    folder = file.parent / (request.config.getini("http_capture_folder") or CAPTURES)
    return capture_path(folder, file, request.node.nodeid, options.path)


def _mode(options: CaptureOptions, path: Path, proxy: SessionProxy) -> str:
    """Return the mode of this test: `record`, `new`, or the replay mode."""
    is_recording = proxy.claims.was_recorded(path)  # another test of this run has started it: this one adds to it
    if options.record_mode == "record" or (options.record_mode == "auto" and (is_recording or not path.exists())):
        return "record"
    return "new" if options.record_mode == "new" else options.mode


def _fail_on_misses(report: dict[str, Any], mode: str) -> None:
    lines = [f"{miss['url']}: {miss['why']}" for miss in report.get("misses", [])]
    lines += [f"never requested: {text}" for text in report.get("unused", []) if mode == "strict"]
    if lines:
        lines.append("record it again with --http-capture=record, or add what is missing with --http-capture=new")
        pytest.fail("the capture does not fit:\n" + "\n".join(lines), pytrace=False)


def _fail_on_nothing(exchanges: int, proxy: str) -> None:
    """Fail a test without requests through the proxy; it may have sent them directly."""
    if not exchanges:
        hint = client_environment.HINT.format(port=proxy.rpartition(":")[2], proxy=proxy)
        pytest.fail(
            f"{hint}\nA client that was made before the fixture has no proxy: make it in the test.", pytrace=False
        )
