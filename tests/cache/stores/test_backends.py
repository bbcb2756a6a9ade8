"""Which store an option names."""

import pytest

from proxy_policies.cache.stores.backends import parse_backend

CHOICES = [
    ("off", "off"),
    ("memory", "memory"),
    ("disk:/x", "disk"),
    ("redis://h:1/0", "redis"),
    ("valkey://h", "redis"),
]


@pytest.mark.parametrize(("text", "kind"), CHOICES)
def test_parse_choice(text: str, kind: str) -> None:
    assert parse_backend(text).kind == kind


@pytest.mark.parametrize(
    "text", ["", "on", "disk", "disk:", "redis", "redis://", "redis://h:x/0", "redis://h/x", "Memory"]
)
def test_what_is_no_store(text: str) -> None:
    with pytest.raises(ValueError, match="choose off, memory"):
        parse_backend(text)
