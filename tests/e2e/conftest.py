"""What holds for tests that drive a process from outside."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.mitmdump import Mitmdump

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the collector close clients: what is tested is another process, and each socket here is a test's own."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    """Start mitmdump with the default options, for all tests of a module."""
    running = Mitmdump([], confdir=tmp_path_factory.mktemp("confdir"))
    yield running
    running.stop()


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """Leave nothing of a module to be collected in another folder's tests, for which all warnings are errors."""
    yield
    gc.collect()
