"""What homes, works and services may be called."""

import pytest

from proxy_policies.reverse_tunnel.protocol.services import NAME


@pytest.mark.parametrize(
    ("text", "good"),
    [("ssh", True), ("a", True), ("x-1", True), ("a" * 63, True), ("a" * 64, False), ("", False)]
    + [(text, False) for text in ("-a", "a-", "A", "a.b", "a_b", "ssh\n", "é", "a b")],
)
def test_names(text: str, good: bool) -> None:
    assert bool(NAME.fullmatch(text)) is good
