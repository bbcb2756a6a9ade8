"""An origin that keeps the very bytes that reach it, and one proxy in two modes before it, in every lane."""

from collections.abc import Iterator

import pytest
from tests.support.mitmdump import LANES, Both, both_modes
from tests.support.raw_origin import RawOrigin


@pytest.fixture(scope="module")
def raw_origin() -> Iterator[RawOrigin]:
    """Start an origin; ended with the module."""
    running = RawOrigin()
    yield running
    running.close()


@pytest.fixture(scope="module", params=LANES)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, raw_origin: RawOrigin
) -> Iterator[Both]:
    """Start a forward and reverse proxy, once for each lane; ended with the module."""
    running = both_modes(raw_origin.url, tmp_path_factory.mktemp("confdir"), "--set", f"fast_lane={request.param}")
    yield running
    running.process.stop()
