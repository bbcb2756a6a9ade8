"""Patches are there while the addons are, and leave nothing behind."""

from typing import Any

from mitmproxy.addonmanager import Loader
from mitmproxy.proxy.layers import http as layers
from mitmproxy.test import taddons

from proxy_policies.patches.addon import PATCHES, Patches


def state() -> dict[tuple[int, str], Any]:
    """Note what stands at every patched place."""
    return {(id(patch.owner), patch.attribute): vars(patch.owner).get(patch.attribute) for patch in PATCHES}


def test_every_patch_is_taken_out_again() -> None:
    with taddons.context() as context:
        before, policy = state(), Patches()
        policy.load(Loader(context.master))
        assert all(now is not before[place] for place, now in state().items())
        assert vars(layers)["Http1Server"].__name__ == "Http1ClientSide"
        policy.done()
        assert state() == before


def test_patches_of_two_chains_get_along() -> None:
    with taddons.context() as context:
        before = state()
        policies = [Patches(), Patches()]
        for policy in policies:
            policy.load(Loader(context.master))
        for policy in reversed(policies):
            policy.done()
        assert state() == before
