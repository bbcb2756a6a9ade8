"""Patches are there while the addons are, and leave nothing behind; a mitmproxy that lacks a place is put up with."""

import logging
from typing import Any

import pytest
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy import layer
from mitmproxy.proxy.layers import http as layers
from mitmproxy.test import taddons

from proxy_policies.patches.addon import PATCHES, Patches
from proxy_policies.patches.generators import run_until
from proxy_policies.patches.patch import Replacement


def state() -> dict[tuple[int, str], Any]:
    """Note what stands at every patched place."""
    return {(id(patch.owner), patch.attribute): vars(patch.owner).get(patch.attribute) for patch in PATCHES}


def test_every_patch_is_taken_out_again() -> None:
    with taddons.context() as context:
        before, policy = state(), Patches()
        policy.load(Loader(context.master))
        assert all(now is not before[place] for place, now in state().items())
        assert vars(layers)["Http1Server"].__name__ == "Server"
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


def test_a_missing_place_is_logged_and_stepped_over(caplog: pytest.LogCaptureFixture) -> None:
    patch = Replacement(layers, "HttpNothing", lambda original: original, why="it hangs", seen_on="12.2")
    with caplog.at_level(logging.WARNING):
        assert patch.apply() is None
    assert "has no mitmproxy.proxy.layers.http.HttpNothing" in caplog.text
    assert "it hangs" in caplog.text


def test_a_generator_is_left_once_a_condition_holds() -> None:
    ended: list[str] = []

    def commands() -> layer.CommandGenerator[str]:
        try:
            replies = [(yield "one"), (yield "two"), (yield "three")]  # type: ignore[misc]
        finally:
            ended.append("closed")
        return ", ".join(replies)

    def drive(stop: str) -> tuple[list[Any], Any]:
        running, seen, reply = run_until(commands(), lambda command: command == stop), [], None  # type: ignore[comparison-overlap]
        while True:
            try:
                seen.append(command := running.send(reply))
            except StopIteration as end:
                return seen, end.value
            reply = f"re {command}"

    assert drive("two") == (["one", "two"], (True, None))
    assert drive("never") == (["one", "two", "three"], (False, "re one, re two, re three"))
    assert ended == ["closed", "closed"]
