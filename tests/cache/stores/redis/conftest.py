"""Fixtures for tests of the store on a Redis server."""

from collections.abc import Iterator

import pytest
from tests.support.cache_stores import redis_server


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a Redis server for a module's tests, and return its port."""
    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port
