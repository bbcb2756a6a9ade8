"""The pytest plugin `proxy_policies`: HTTP of a test recorded the first time, replayed ever after, with no network.

    def test_login(http_capture):                    # tests/captures/test_login.har
        requests.get("http://shop.test/")

    @pytest.mark.http_capture("shop.har", mode="strict", ignore=["query:t"])
    def test_shop(http_capture): …

`--http-capture=replay|new|record` (default: replay what was recorded, record what has no capture yet). Clients are
not patched: they find a real proxy in the environment (aiohttp needs `trust_env=True`), one process for the session.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy_policies.capture.runner import client_environment
from proxy_policies.capture.runner.session_proxy import SessionProxy

FOLDER = "captures"
MODES = ("auto", "replay", "new", "record")


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
        "http_capture(path=None, mode='once', ignore=(), redact=(), set=()): record and replay this test's HTTP",
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
    """Return marked tests the fixture."""
    for item in items:
        names = getattr(item, "fixturenames", None)
        if item.get_closest_marker("http_capture") and names is not None and "http_capture" not in names:
            names.insert(0, "http_capture")


@pytest.fixture
def http_capture(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _http_capture_proxy: SessionProxy
) -> Iterator[HttpCapture]:
    """Record or replay the HTTP of this test; it fails when it asked for what was not recorded."""
    marker = request.node.get_closest_marker("http_capture")
    wanted: dict[str, Any] = dict(marker.kwargs) if marker else {}
    path = _path(request, marker.args[0] if marker and marker.args else wanted.pop("path", None))
    choice = request.config.getoption("--http-capture")
    is_recording = choice == "record" or (choice == "auto" and not path.exists())
    proxy = _http_capture_proxy
    for name, value in client_environment.environment({}, proxy.url, proxy.bundle, proxy.ca).items():
        monkeypatch.setenv(name, value)
    mode = "record" if is_recording else "new" if choice == "new" else wanted.get("mode", "once")
    report = proxy.begin(path, mode, wanted)
    try:
        yield HttpCapture(path, is_recording, proxy.url)
    finally:
        proxy.end()
    _fail_on_misses(json.loads(report.read_text()) if report.exists() else {}, mode)


def _path(request: pytest.FixtureRequest, named: str | None) -> Path:
    folder = request.path.parent / FOLDER
    name = named or f"{request.path.stem}.{re.sub(r'[^A-Za-z0-9_.-]+', '_', request.node.name)}.har"
    return folder / name


def _fail_on_misses(report: dict[str, Any], mode: str) -> None:
    lines = [f"{miss['url']}: {miss['why']}" for miss in report.get("misses", [])]
    lines += [f"never asked for: {text}" for text in report.get("unused", []) if mode == "strict"]
    if lines:
        pytest.fail("the capture does not fit:\n" + "\n".join(lines), pytrace=False)
