"""Fixtures that every test may use."""

import gc
import os
import signal
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from tests.support.curl import curl as run_curl
from tests.support.mitmdump import Mitmdump, Running
from tests.support.origin import Origin
from tests.support.waiting import PATIENCE
from tests.support.waiting import free_port as find_free_port

# Users do not set this, and it hides that one of our programs does not flush what it prints.
os.environ.pop("PYTHONUNBUFFERED", None)

# A shell ignores this in what it starts in the background, and so would the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The short search draws the same examples in every run: what is judged is the change. The deep one draws new ones.
settings.register_profile(
    "fast", max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("deep", max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fast")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the long versions."""
    parser.addoption("--deep", action="store_true", help="run the long versions too")


def pytest_configure(config: pytest.Config) -> None:
    """Choose how long property tests search, and how mitmdump starts."""
    settings.load_profile("deep" if config.getoption("--deep") else "fast")
    if not config.getoption("--deep"):  # else examples had constants of whichever modules are imported by then
        providers._get_local_constants = lambda: providers._local_constants
    Running.is_forked = Running.is_forked and not config.getoption("--deep")


E2E = Path(__file__).parent / "e2e"


@pytest.hookimpl(tryfirst=True)  # before xdist reads who belongs together
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long versions out unless asked for; bound every test by what it may take on a loaded machine.

    One process runs all tests of a module that share what is slow to start, and of one whose tests are quick: to hand
    these out one by one costs more than they do.
    """
    for item in items:
        if marker := item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(marker.args[0] * PATIENCE), append=False)
        if not item.get_closest_marker("xdist_group") and (E2E not in item.path.parents or _shares_a_fixture(item)):
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(E2E.parent).as_posix()))
    if not config.getoption("--deep"):
        deep = [item for item in items if item.get_closest_marker("deep")]
        config.hook.pytest_deselected(items=deep)
        items[:] = [item for item in items if item not in deep]


def _shares_a_fixture(item: pytest.Item) -> bool:
    """True if a test asks for something that is made once for its module."""
    asked = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    return any(made[-1].scope == "module" for name, made in asked.items() if name != "_collected")


def pytest_collection_finish() -> None:
    """Spare the collector what lives until the end: each of its runs would look through all that was imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def mitmdump(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Mitmdump]]:
    """Start mitmdump with a script of ours and a confdir of its own; ended with the test."""
    started: list[Mitmdump] = []

    def start(*arguments: str, confdir: Path | None = None, **options: Any) -> Mitmdump:
        running = Mitmdump(arguments, confdir=confdir or tmp_path_factory.mktemp("confdir"), **options)
        started.append(running)
        return running

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def origin() -> Iterator[Callable[..., Origin]]:
    """Start an origin; ended with the test."""
    started: list[Origin] = []

    def start(tls: ssl.SSLContext | None = None) -> Origin:
        running = Origin(tls)
        started.append(running)
        return running

    yield start
    for running in started:
        running.close()


@pytest.fixture
def curl() -> Any:
    """Run curl."""
    return run_curl


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Find a free TCP port."""
    return find_free_port


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    """Return a certificate authority for test origins, which no system trusts."""
    return trustme.CA()


@pytest.fixture
def server_tls(ca: trustme.CA) -> ssl.SSLContext:
    """Return a TLS context for 127.0.0.1, localhost and *.example.test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "localhost", "*.example.test", "example.test").configure_cert(context)
    return context


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> Path:
    """Return the test CA's certificate as a PEM file."""
    path = tmp_path / "test-ca.pem"
    ca.cert_pem.write_to_path(path)
    return path
