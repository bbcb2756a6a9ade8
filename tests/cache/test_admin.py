"""The secret that PURGE takes."""

import pytest

from proxy_policies.cache.admin import parse_purge


@pytest.mark.parametrize("text", ["short", "has spaces in it, many", "ünïcode-and-long-enough"])
def test_a_purge_secret_is_long_and_plain(text: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        parse_purge(text)
