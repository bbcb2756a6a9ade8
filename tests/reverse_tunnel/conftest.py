"""A home and a work in this process, over real sockets, and services to reach."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.home_and_works_in_process import BEAT, Tunnel, close_clients

from proxy_policies.reverse_tunnel import certificates, identity
from proxy_policies.reverse_tunnel.identity import Credentials


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ignore warnings about the hundreds of clients that tests leave in mid-handshake until they are collected."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """Leave nothing of a module to be collected later, when all warnings are errors."""
    yield
    gc.collect()


@pytest.fixture
def beat() -> float:
    """Return the seconds between heartbeats."""
    return BEAT


@pytest.fixture
async def tunnel(beat: float) -> AsyncIterator[Tunnel]:
    made = Tunnel(beat)
    yield made
    close_clients()
    await made.close()


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return certificate folders of one authority by name: paris and lyon (homes), office and lab (works)."""
    root = tmp_path_factory.mktemp("certs")
    kinds = {"paris": "home", "lyon": "home", "office": "work", "lab": "work"}
    return {name: certificates.make(kind, name, root / name) for name, kind in kinds.items()}


@pytest.fixture(params=["certificates", "secret", "none"])
def credentials(request: pytest.FixtureRequest, folders: dict[str, Path]) -> tuple[Credentials, Credentials]:
    """Return home's and work's credentials, in each mode."""
    if request.param == "certificates":
        return identity.load("home", str(folders["paris"]), ""), identity.load("work", str(folders["office"]), "")
    secret = "a secret of some length"
    return identity.load("home", request.param, secret), identity.load("work", request.param, secret)
