"""The bundle loads, and traffic passes."""

from collections.abc import Callable
from typing import Any

from tests.support.mitmdump import Mitmdump
from tests.support.origin import Origin


def test_the_bundle_loads_and_forwards(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any
) -> None:
    server, proxy = origin(), mitmdump()
    result = curl("-x", proxy.url, f"{server.url}/")
    assert (result.status, result.body) == (200, b"hello from the origin\n")
    assert proxy.stop() == 0
    assert "rror" not in proxy.log()
