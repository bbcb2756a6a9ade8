"""What arguments of mitmproxy say."""

import pytest

from proxy_policies.command.mitmproxy_arguments import value_of


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ([], ""),
        (["--set", "confdir=/x"], "/x"),
        (["--set=confdir=/x=y"], "/x=y"),
        (["--set", "confdirs=/x", "-s", "confdir"], ""),
    ],
)
def test_what_an_option_is_set_to(arguments: list[str], value: str) -> None:
    assert value_of(arguments, "confdir") == value
