"""The list of addons that a script hands to mitmproxy."""

from collections.abc import Sequence

import pytest
from mitmproxy import exceptions
from mitmproxy.test import taddons

from proxy_policies.addon_chain import build_addons
from proxy_policies.headers.addon import RequestRules, ResponseRules
from proxy_policies.outbound.dial import Dialer


def names(addons: Sequence[object]) -> list[str]:
    """Return what mitmproxy calls them: their name, else that of their class."""
    return [str(getattr(addon, "name", type(addon).__name__.lower())) for addon in addons]


def test_policies_keep_their_order_between_what_all_of_them_need() -> None:
    with taddons.context():
        built = names(build_addons(RequestRules(), ResponseRules()))
    settings = "settings of dial, request-rules, response-rules"
    order = [
        settings,
        Dialer.name,
        RequestRules.name,
        ResponseRules.name,
        "streaming",
    ]
    assert [name for name in built if name in order] == order


def test_a_second_script_adds_only_what_is_not_loaded() -> None:
    with taddons.context(Dialer()):
        assert Dialer.name not in names(build_addons(RequestRules()))


def test_a_policy_that_is_loaded_already_is_refused() -> None:
    with (
        taddons.context(RequestRules()),
        pytest.raises(exceptions.OptionsError, match=f"already loaded: {RequestRules.name}"),
    ):
        build_addons(RequestRules(), ResponseRules())
