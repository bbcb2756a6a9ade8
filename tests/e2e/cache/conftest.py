"""A proxy that a module's tests share where they need no options: each has an origin, and so URLs, of its own."""

from collections.abc import Iterator

import pytest
from tests.support.mitmdump import Mitmdump


@pytest.fixture(scope="module")
def cache_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    running = Mitmdump((), confdir=tmp_path_factory.mktemp("confdir"), script="cache.py")
    yield running
    running.stop()
