"""Fixtures for tests of the cache."""

from collections.abc import Iterator

import pytest
from mitmproxy.test import taddons


@pytest.fixture
def mitmproxy_context() -> Iterator[None]:
    """Have mitmproxy's options, as flows do that pass through a proxy."""
    with taddons.context() as context:
        context.options.add_option("server_replay", list, [], "")
        yield
