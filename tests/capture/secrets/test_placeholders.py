"""Placeholders are the same for the same secret, and say of what kind it is."""

import pytest

from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, Placeholders, identity, kind, without_kinds

ONE, OTHER = Placeholders(b"k" * 32), Placeholders(b"x" * 32)


def test_a_key_decides() -> None:
    assert ONE.of("hunter2") == ONE.of("hunter2") != OTHER.of("hunter2")
    assert ONE.of("hunter2") != ONE.of("hunter3")
    assert ONE.key_id != OTHER.key_id
    assert len(ONE.key_id) == 12


@pytest.mark.parametrize("secret", ["hunter2", "\ud800", "é" * 600, " ", "a\0b"])
def test_a_placeholder_stands_for_itself(secret: str) -> None:
    placeholder = ONE.of(secret)
    assert PLACEHOLDER.fullmatch(placeholder)
    assert ONE.of(placeholder) == placeholder
    assert ONE.of("") == ""


def test_the_kind_can_be_left_out() -> None:
    placeholder = ONE.of("a1b2c3d4e5f60718")
    assert (kind(placeholder), kind(placeholder[:23])) == ("hex016", "")
    assert identity(placeholder) == placeholder[:23]
    assert identity("secret_santa") == "secret_santa"
    assert without_kinds(f"a {placeholder}, {placeholder}") == f"a {placeholder[:23]}, {placeholder[:23]}"
