"""Which addons have which hook, and since when."""

from typing import Any

from mitmproxy.test import taddons

from proxy_policies.dispatch.table import Table
from proxy_policies.hook_conditions import only_if


class Asked:
    """Has a hook, and another under a condition."""

    def __init__(self, name: str, addons: list[Any] | None = None) -> None:
        self.name, self.rules = name, ()
        if addons is not None:
            self.addons = addons

    def request(self, flow: object) -> None:
        """Be asked."""

    @only_if("rules")
    def response(self, flow: object) -> None:
        """Be asked if there are rules."""


def names(table: Table, event: str) -> list[list[str]]:
    return [[getattr(addon, "name", "") for addon in group] for group in table.groups(event)]


def test_addons_come_in_the_order_of_the_chain_with_their_families() -> None:
    with taddons.context(loadcore=False) as context:
        child = Asked("child")
        context.master.addons.add(Asked("first", [child]), Asked("second"))
        table = Table(context.master.addons)
        assert names(table, "request") == [["child", "first"], ["second"]] or names(table, "request") == [
            ["first", "child"],
            ["second"],
        ]
        assert names(table, "error") == []


def test_it_is_made_anew_when_addons_change() -> None:
    with taddons.context(loadcore=False) as context:
        parent = Asked("parent", [])
        context.master.addons.add(parent)
        table = Table(context.master.addons)
        before = table.version
        assert table.version == before
        parent.addons.append(Asked("later"))
        assert table.version == before + 1
        assert sorted(names(table, "request")[0]) == ["later", "parent"]
        parent.addons.clear()
        context.master.addons.remove(parent)
        assert names(table, "request") == []
        assert table.version > before + 1


def test_an_entry_knows_what_its_hook_depends_on() -> None:
    with taddons.context(loadcore=False) as context:
        addon = Asked("one")
        context.master.addons.add(addon)
        table = Table(context.master.addons)
        (((owner, function, condition),),) = table.entries("response")
        assert owner is addon
        assert function is Asked.response
        assert condition is not None
        assert not condition(addon)
        (((_, _, none),),) = table.entries("request")
        assert none is None
