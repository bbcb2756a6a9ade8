"""The pytest plugin `proxy_policies`: HTTP of a test recorded the first time, replayed ever after, with no network.

    def test_login(http_capture):                    # tests/captures/test_shop.test_login.har
        requests.get("http://shop.test/")

    @pytest.mark.http_capture("shop.har", mode="strict", ignore=["query:t"])
    def test_shop(http_capture): …

`--http-capture=replay|new|record` (default: replay what was recorded, record what has no capture yet). Clients are
not patched: they find a real proxy in the environment (aiohttp needs `trust_env=True`), one process for the session.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy_policies.capture.runner import client_environment
from proxy_policies.capture.runner.session_proxy import SessionProxy

FOLDER = "captures"
MODES = ("auto", "replay", "new", "record")
KEYWORDS = ("path", "mode", "ignore", "redact", "set", "exact")
"""Words that the marker takes."""
LONGEST_NAME = 120
"""Characters of a file's name before it is shortened: file systems take 255 octets, some programs 143."""
_FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--http-capture`."""
    group = parser.getgroup("http capture")
    help = (
        "auto: replay, and record what has no capture yet; replay: never record; new: add what is missing; record: anew"
    )
    group.addoption("--http-capture", choices=MODES, default="auto", help=help)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        "http_capture(path=None, mode='once', ignore=(), redact=(), set=(), exact=False): record and replay its HTTP",
    )


@dataclass(frozen=True, slots=True)
class HttpCapture:
    """What a test gets: where its capture is, whether it is being recorded, and the proxy's URL."""

    path: Path
    is_recording: bool
    proxy: str


@pytest.fixture(scope="session")
def _http_capture_proxy() -> Iterator[SessionProxy]:
    folder = Path(tempfile.mkdtemp(prefix="http-capture-"))
    try:
        with SessionProxy(folder) as proxy:
            yield proxy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give marked tests the fixture."""
    for item in items:
        names = getattr(item, "fixturenames", None)
        if item.get_closest_marker("http_capture") and names is not None and "http_capture" not in names:
            names.insert(0, "http_capture")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note whether the test failed, for what is kept of its recording."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture
def http_capture(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _http_capture_proxy: SessionProxy
) -> Iterator[HttpCapture]:
    """Record or replay the HTTP of this test; it fails when it asked for what was not recorded, or for nothing."""
    wanted = _wanted(request.node)
    path = capture_path(request.node, request.path, wanted.get("path"))
    proxy = _http_capture_proxy
    mode = _mode(request.config.getoption("--http-capture"), wanted.get("mode", "once"), path, proxy)
    for name, value in client_environment.environment({}, proxy.url, proxy.bundle, proxy.ca).items():
        monkeypatch.setenv(name, value)
    report = proxy.begin(path, mode, request.node.nodeid, wanted)
    try:
        yield HttpCapture(path, mode == "record", proxy.url)
    finally:
        recorded = proxy.end(keep=not request.node.stash.get(_FAILED, False))
    outcome = json.loads(report.read_text()) if report.exists() else {}
    _fail_on_misses(outcome, mode)
    if not request.node.stash.get(_FAILED, False):
        _fail_on_nothing(outcome.get("played", 0) + recorded, proxy.url)


def _wanted(node: pytest.Item) -> dict[str, Any]:
    """Return what the marker says. Fails for words that it does not take."""
    marker = node.get_closest_marker("http_capture")
    if marker is None:
        return {}
    unknown = sorted(set(marker.kwargs) - set(KEYWORDS))
    if unknown or len(marker.args) > 1:
        wrong = ", ".join(unknown) or "more than one path"
        pytest.fail(f"http_capture does not take {wrong}; it takes {', '.join(KEYWORDS)}", pytrace=False)
    return dict(marker.kwargs) | ({"path": marker.args[0]} if marker.args else {})


def _mode(choice: str, wanted: str, path: Path, proxy: SessionProxy) -> str:
    """Return the mode of this test: `record`, `new`, or how its recording is used up."""
    is_ours = path in proxy.recorded  # another test has begun it in this session: this one adds to it
    if choice == "record" or (choice == "auto" and (is_ours or not path.exists())):
        return "record"
    return "new" if choice == "new" else wanted


def capture_path(node: pytest.Item, file: Path, named: str | None) -> Path:
    """Return where the capture of a test is: named as the marker says, or after module, class, test and parameters.

    A name whose characters or length not every file system takes gets a hash, so that no two tests share one.
    """
    folder = file.parent / FOLDER
    if named:
        return folder / named
    name = ".".join([file.stem, *node.nodeid.split("::")[1:]])
    plain = re.sub(r"[^A-Za-z0-9_.\[\]-]+", "_", name)
    if plain != name or len(plain) > LONGEST_NAME:
        plain = f"{plain[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"
    return folder / f"{plain}.har"


def _fail_on_misses(report: dict[str, Any], mode: str) -> None:
    lines = [f"{miss['url']}: {miss['why']}" for miss in report.get("misses", [])]
    lines += [f"never asked for: {text}" for text in report.get("unused", []) if mode == "strict"]
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
