"""mitmproxy's own page is served to the same requests as without us."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
from mitmproxy import http
from mitmproxy.addons.onboarding import Onboarding
from mitmproxy.test import taddons, tflow, tutils

from proxy_policies.tuning.onboarding import ONBOARDING


def flow(host: str, change: Callable[[http.HTTPFlow], object] = lambda flow: None) -> http.HTTPFlow:
    made = tflow.tflow(req=tutils.treq(host=host, port=80, headers=((b"Host", host.encode()),), path=b"/"))
    made.live = True
    change(made)
    return made


FLOWS = {
    "the page": lambda: flow("mitm.it"),
    "another port": lambda: flow("mitm.it", lambda made: setattr(made.request, "port", 8080)),
    "another host": lambda: flow("a.test"),
    "answered": lambda: flow("mitm.it", lambda made: setattr(made, "response", tutils.tresp(content=b"ours"))),
    "not live": lambda: flow("mitm.it", lambda made: setattr(made, "live", False)),
}


async def served(made: http.HTTPFlow, onboarding: bool) -> tuple[int, bytes | None] | None:
    with taddons.context(addon := Onboarding()) as context:
        context.configure(addon, onboarding=onboarding)
        waiting = addon.request(made)
        if inspect.isawaitable(waiting):
            await waiting
    response = made.response
    return None if response is None else (response.status_code, response.content)


@pytest.mark.parametrize("onboarding", [True, False])
@pytest.mark.parametrize("name", FLOWS)
async def test_it_is_served_as_before(name: str, onboarding: bool) -> None:
    before = await served(FLOWS[name](), onboarding)
    assert bool(before) is (name == "answered" or (onboarding and name in ("the page", "another port")))
    undo = ONBOARDING.apply()
    assert undo
    try:
        assert await served(FLOWS[name](), onboarding) == before
    finally:
        undo()


def test_no_task_is_needed_for_another_host() -> None:
    undo = ONBOARDING.apply()
    assert undo
    try:
        with taddons.context(addon := Onboarding()):
            assert addon.request(flow("a.test")) is None
    finally:
        undo()
