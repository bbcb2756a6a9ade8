"""Hooks before every script and after all of them."""

from types import SimpleNamespace
from typing import Any

from mitmproxy import addons
from mitmproxy.addonmanager import Loader, traverse
from mitmproxy.addons.modifybody import ModifyBody
from mitmproxy.addons.save import Save
from mitmproxy.addons.script import ScriptLoader
from mitmproxy.test import taddons

from proxy_policies.dispatch.around_scripts import AroundScripts, Hooks


class Both:
    """A policy that is asked at both ends."""

    def __init__(self, name: str) -> None:
        self.name = name

    def early_hooks(self) -> Hooks:
        return Hooks(f"early {self.name}", response=print)

    def late_hooks(self) -> Hooks:
        return Hooks(f"late {self.name}", response=print)


def order(context: taddons.context) -> list[Any]:
    loaded = list(traverse(context.master.addons.chain))
    return [addon.name if isinstance(addon, Hooks) else type(addon) for addon in loaded]


def test_where_they_stand() -> None:
    with taddons.context() as context:
        context.master.addons.chain = addons.default_addons()
        plain = order(context)
        first, second = AroundScripts([Both("first"), SimpleNamespace(name="plain")]), AroundScripts([Both("second")])
        for each in (first, second):
            each.load(Loader(context.master))
        found = order(context)
        at = {each: found.index(each) for each in found}
        assert max(at["early first"], at["early second"]) < at[ScriptLoader] < at[ModifyBody] < at["late second"]
        assert at["late second"] < at["late first"] < at[Save]
        for each in (first, second):
            each.done()
        assert [each for each in order(context) if "_" not in getattr(each, "__name__", "")] == plain
        context.master.addons.chain = []
