"""What a name says of its value."""

import pytest

from proxy_policies.capture.secrets.names import is_secret_name

SECRET_NAMES = [
    "Authorization",
    "Cookie",
    "access_token",
    "accessToken",
    "X-Api-Key",
    "API_KEY",
    "PHPSESSID",
    "csrf-token",
]
PLAIN_NAMES = ["author", "keyboard", "Content-Type", "monkey", "key", "assessment", "max", "page", "tokenizer"]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_name_that_carries_secrets_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_a_name_that_only_looks_alike_is_left(name: str) -> None:
    assert not is_secret_name(name)
