"""The dispatch table against stock: the same chains, events and changes, compared call by call.

Hooks asked inline: the same commands, and the same order of what follows."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from mitmproxy import exceptions, hooks, http
from mitmproxy.addonmanager import AddonManager
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook, HttpResponseHook
from mitmproxy.proxy.layers.tcp import TcpMessageHook
from mitmproxy.test import taddons, tflow

from proxy_policies.dispatch.dispatcher import Dispatch, HookTable, Inline
from proxy_policies.hook_conditions import only_describes, only_if

Calls = list[str]


@dataclass
class Recorder:
    """An addon that writes down what it is asked, and may misbehave."""

    name: str
    calls: Calls
    mood: str = ""

    def request(self, flow: object) -> object:
        self.calls.append(f"{self.name}.request")
        match self.mood:
            case "raises":
                raise ValueError(f"{self.name} is in a mood")
            case "halts":
                raise exceptions.AddonHalt
            case "refuses":
                raise exceptions.OptionsError(self.name)
            case "awaits":
                return self._later()
        return None

    async def _later(self) -> None:
        await asyncio.sleep(0)
        self.calls.append(f"{self.name}.request, later")


@dataclass
class Updated(Recorder):
    def update(self, flows: object) -> None:
        self.calls.append(f"{self.name}.update")


@dataclass
class Responds:
    name: str
    calls: Calls

    async def response(self, flow: object) -> None:
        self.calls.append(f"{self.name}.response")


class Parent:
    """An addon of addons, as mitmproxy's script loader is."""

    def __init__(self, name: str, calls: Calls, *addons: object) -> None:
        self.name, self.calls, self.addons = name, calls, list(addons)

    def request(self, flow: object) -> None:
        self.calls.append(f"{self.name}.request")


class Spoiled:
    name = "spoiled"
    request = "not callable"


class Shy:
    name = "shy"
    request = None
    response = json  # a module that happens to be called like a hook


Scenario = Callable[[AddonManager, Calls, Callable[[hooks.Hook], Awaitable[None]]], Awaitable[None]]


async def order(manager: AddonManager, calls: Calls, fire: Callable[[hooks.Hook], Awaitable[None]]) -> None:
    manager.add(
        Recorder("a", calls),
        Parent("p", calls, Recorder("b", calls, "awaits"), Parent("q", calls, Updated("c", calls))),
        Responds("d", calls),
        Shy(),
    )
    for _ in range(2):
        await fire(HttpRequestHook(tflow.tflow()))
        await fire(HttpResponseHook(tflow.tflow(resp=True)))


def with_mood(mood: str) -> Scenario:
    async def moody(manager: AddonManager, calls: Calls, fire: Callable[[hooks.Hook], Awaitable[None]]) -> None:
        manager.add(
            Recorder("a", calls),
            Parent("p", calls, Recorder("b", calls, mood), Updated("skipped", calls)),
            Updated("c", calls),
        )
        await fire(HttpRequestHook(tflow.tflow()))
        await fire(HttpRequestHook(tflow.tflow()))

    return moody


async def spoiled(manager: AddonManager, calls: Calls, fire: Callable[[hooks.Hook], Awaitable[None]]) -> None:
    manager.add(Parent("p", calls, Recorder("a", calls), Spoiled(), Recorder("b", calls)), Recorder("c", calls))
    await fire(HttpRequestHook(tflow.tflow()))


async def coming_and_going(manager: AddonManager, calls: Calls, fire: Callable[[hooks.Hook], Awaitable[None]]) -> None:
    first, second, third = Recorder("a", calls), Recorder("b", calls), Updated("c", calls)
    parent = Parent("p", calls)
    manager.add(first, parent)
    await fire(HttpRequestHook(tflow.tflow()))
    manager.add(second)
    await fire(HttpRequestHook(tflow.tflow()))
    manager.register(third)
    parent.addons.append(third)  # as a script that is loaded
    await fire(HttpRequestHook(tflow.tflow()))
    manager.remove(first)
    await fire(HttpRequestHook(tflow.tflow()))
    manager.remove(third)
    parent.addons = [Recorder("d", calls)]  # as a script that is loaded again
    manager.register(parent.addons[0])
    await fire(HttpRequestHook(tflow.tflow()))
    manager.clear()
    await fire(HttpRequestHook(tflow.tflow()))


async def equal_twins(manager: AddonManager, calls: Calls, fire: Callable[[hooks.Hook], Awaitable[None]]) -> None:
    """An addon replaced by an equal one: the new one is asked."""
    one, two = Recorder("a", calls), Recorder("a", calls)
    manager.add(one)
    await fire(HttpRequestHook(tflow.tflow()))
    manager.chain[0] = two
    two.mood = "awaits"
    await fire(HttpRequestHook(tflow.tflow()))


async def a_hook_changed_in_place(
    manager: AddonManager, calls: Calls, fire: Callable[[hooks.Hook], Awaitable[None]]
) -> None:
    addon: Any = Recorder("a", calls)
    manager.add(addon)
    await fire(HttpRequestHook(tflow.tflow()))
    addon.request = lambda flow: calls.append("changed")
    await fire(HttpRequestHook(tflow.tflow()))


def sleeper(calls: Calls) -> Any:
    """An addon with a hook that does nothing without rules."""

    class Sleeper:
        name = "sleeper"
        rules: tuple[str, ...] = ()

        @only_if("rules")
        def request(self, flow: object) -> None:
            if self.rules:
                calls.append(f"sleeper.request {self.rules}")

    return Sleeper()


async def waking_and_sleeping(
    manager: AddonManager, calls: Calls, fire: Callable[[hooks.Hook], Awaitable[None]]
) -> None:
    addon = sleeper(calls)
    manager.add(Recorder("a", calls), addon)
    for rules in ((), ("x",), (), ("y", "z")):
        addon.rules = rules
        await fire(HttpRequestHook(tflow.tflow()))


async def an_idle_hook_changed_in_place(
    manager: AddonManager, calls: Calls, fire: Callable[[hooks.Hook], Awaitable[None]]
) -> None:
    addon = sleeper(calls)
    manager.add(addon)
    await fire(HttpRequestHook(tflow.tflow()))
    type(addon).request = lambda self, flow: calls.append("changed in the class")
    await fire(HttpRequestHook(tflow.tflow()))
    addon.request = lambda flow: calls.append("changed")
    await fire(HttpRequestHook(tflow.tflow()))
    addon.request = "not callable"
    await fire(HttpRequestHook(tflow.tflow()))


async def an_attribute_that_another_version_lacks(
    manager: AddonManager, calls: Calls, fire: Callable[[hooks.Hook], Awaitable[None]]
) -> None:
    class Renamed:
        name = "renamed"

        @only_if("rules")
        def request(self, flow: object) -> None:
            calls.append("renamed.request")

    manager.add(Renamed())
    await fire(HttpRequestHook(tflow.tflow()))


class Grows:
    """Adds an addon while it is asked to run."""

    name = "grows"

    def __init__(self, manager: AddonManager, calls: Calls) -> None:
        self.manager, self.calls = manager, calls

    def running(self) -> None:
        self.calls.append("grows.running")
        self.manager.add(Runs(self.calls))


class Runs:
    name = "runs"

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    def running(self) -> None:
        self.calls.append("runs.running")


async def adding_while_asked(
    manager: AddonManager, calls: Calls, fire: Callable[[hooks.Hook], Awaitable[None]]
) -> None:
    manager.add(Grows(manager, calls))
    await manager.trigger_event(hooks.RunningHook())


SCENARIOS = {
    "order": order,
    "raises": with_mood("raises"),
    "halts": with_mood("halts"),
    "refuses": with_mood("refuses"),
    "spoiled": spoiled,
    "coming-and-going": coming_and_going,
    "equal-twins": equal_twins,
    "changed-in-place": a_hook_changed_in_place,
    "adding-while-asked": adding_while_asked,
    "waking-and-sleeping": waking_and_sleeping,
    "idle-changed-in-place": an_idle_hook_changed_in_place,
    "attribute-missing": an_attribute_that_another_version_lacks,
}


async def play(scenario: Scenario, way: str, caplog: pytest.LogCaptureFixture) -> tuple[Calls, list[str]]:
    """Run a scenario by stock's way or ours, awaited or begun at once; give what was called and what was logged."""
    calls: Calls = []
    caplog.clear()
    with taddons.context(loadcore=False) as context:
        manager = context.master.addons
        dispatch = Dispatch(manager)
        undo = dispatch.install() if way != "stock" else lambda: None

        async def fire(event: hooks.Hook) -> None:
            try:
                if way != "begun" or not dispatch.trigger_now(event):
                    await manager.handle_lifecycle(event)
            except Exception as error:
                calls.append(repr(error))

        await scenario(manager, calls, fire)
        undo()
    return calls, [report(record) for record in caplog.records]


def report(record: logging.LogRecord) -> str:
    """What was said, and the addon's part of the traceback."""
    assert record.exc_info
    frames = [frame for frame in traceback.extract_tb(record.exc_info[2]) if frame.filename == __file__]
    said = re.sub("0x[0-9a-f]+", "", record.getMessage())
    return f"{record.name} {record.levelname} {said} {record.exc_info[0]} {frames}"


@pytest.mark.parametrize("way", ["awaited", "begun"])
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
async def test_as_stock(scenario: Scenario, way: str, caplog: pytest.LogCaptureFixture) -> None:
    stock = await play(scenario, "stock", caplog=caplog)
    assert stock[0]
    assert await play(scenario, way, caplog=caplog) == stock


async def test_an_intercepted_flow_is_left_to_wait_for() -> None:
    with taddons.context(loadcore=False) as context:
        dispatch = Dispatch(context.master.addons)
        flow, calls = tflow.tflow(), list[str]()
        context.master.addons.add(Recorder("a", calls))
        assert dispatch.trigger_now(HttpRequestHook(flow))
        flow.intercept()
        event = HttpRequestHook(flow)
        assert not dispatch.trigger_now(event)
        await dispatch.handle_lifecycle(event)
        assert calls == ["a.request", "a.request"], "each event is triggered once"


async def test_an_event_that_has_begun_is_finished_by_the_dispatcher_of_a_reloaded_script() -> None:
    with taddons.context(loadcore=False) as context:
        calls, event = list[str](), HttpRequestHook(tflow.tflow())
        context.master.addons.add(Recorder("a", calls, "awaits"))
        assert not Dispatch(context.master.addons).trigger_now(event)
        await Dispatch(context.master.addons).handle_lifecycle(event)
        assert calls == ["a.request", "a.request, later"]


def test_an_idle_hook_is_not_asked() -> None:
    calls = list[str]()

    class Promises:
        rules = ()

        @only_if("rules")
        def request(self, flow: object) -> None:
            calls.append("asked")

    with taddons.context(Promises(), loadcore=False) as context:
        assert Dispatch(context.master.addons).trigger_now(HttpRequestHook(tflow.tflow()))
        assert calls == []


def test_undone_it_is_gone() -> None:
    with taddons.context(loadcore=False) as context:
        manager = context.master.addons
        before = dict(vars(manager))
        undo = Dispatch(manager).install()
        assert vars(manager) != before
        undo()
        assert vars(manager) == before


class Patient:
    """Waits in `request` for `gate`, if that is not open, for at most a moment."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.seen: list[str] = []

    async def request(self, flow: http.HTTPFlow) -> None:
        try:
            async with asyncio.timeout(0.05):
                await self.gate.wait()
            self.seen.append("came")
        except TimeoutError:
            self.seen.append("gave up")


async def test_an_asynchronous_hook_that_need_not_wait_is_through_at_once() -> None:
    with taddons.context(patient := Patient()) as context:
        dispatch = Dispatch(context.master.addons)
        patient.gate.set()
        assert dispatch.trigger_now(HttpRequestHook(tflow.tflow()))
        assert patient.seen == ["came"]


async def test_one_that_waits_is_a_task_of_its_own() -> None:
    """Its time-outs are its own, and do not reach its caller."""
    with taddons.context(patient := Patient()) as context:
        dispatch = Dispatch(context.master.addons)
        event = HttpRequestHook(tflow.tflow())
        assert not dispatch.trigger_now(event)
        await asyncio.sleep(0.1)
        await dispatch.handle_lifecycle(event)
        assert patient.seen == ["gave up"]


async def test_log_records_are_formatted_only_for_an_addon_that_reads_them() -> None:
    class Legacy(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    class Reader:
        name = "reader"

        def add_log(self, entry: object) -> None:
            return

    seen: list[str] = []
    handler = Legacy()
    logger = logging.getLogger("test of the legacy log")
    logger.addHandler(handler)
    with taddons.context(loadcore=False) as context:
        undo = Dispatch(context.master.addons, handler).install()
        logger.warning("nobody reads this")
        context.master.addons.add(Reader())
        logger.warning("this is read")
        undo()
    logger.removeHandler(handler)
    assert seen == ["this is read"]


class Talks(layer.Layer):
    """Says what it does: two hooks, of which it waits for the first, and one that it never waits for."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield commands.Log(f"begins {type(event).__name__}")
        yield HttpRequestHook(tflow.tflow())
        yield commands.Log("the first is through")
        told = TcpMessageHook(tflow.ttcpflow())
        told.blocking = False
        yield told
        yield HttpResponseHook(tflow.tflow())
        yield commands.Log("ends")


@pytest.fixture
def talks() -> Iterator[Talks]:
    with taddons.context() as context:
        yield Talks(Context(tflow.tclient_conn(), context.options))


def said(given: list[commands.Command]) -> list[str]:
    return [command.message if isinstance(command, commands.Log) else type(command).__name__ for command in given]


def test_hooks_that_are_through_are_not_given(talks: Talks) -> None:
    asked: list[str] = []

    def ask(hook: commands.StartHook) -> bool:
        asked.append(hook.name)
        return True

    given = list(Inline(talks, ask).handle_event(events.Start()))
    assert said(given) == ["begins Start", "the first is through", "ends"]
    assert asked == ["request", "tcp_message", "response"]


def test_what_has_to_wait_is_given_and_ends_as_stock_has_it(talks: Talks) -> None:
    inline = Inline(talks, lambda hook: hook.name != "request")
    given = list(inline.handle_event(events.Start()))
    assert said(given) == ["begins Start", "HttpRequestHook"]
    hook = given[-1]
    assert isinstance(hook, HttpRequestHook)
    assert said(list(inline.handle_event(events.HookCompleted(hook)))) == ["the first is through", "ends"]


def test_all_else_is_the_layers(talks: Talks) -> None:
    assert Inline(talks, lambda _: True).context is talks.context


# The table


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


def names(table: HookTable, event: str) -> list[list[str]]:
    return [[getattr(addon, "name", "") for addon in group] for group in table.groups(event)]


def test_addons_come_in_the_order_of_the_chain_with_their_families() -> None:
    with taddons.context(loadcore=False) as context:
        child = Asked("child")
        context.master.addons.add(Asked("first", [child]), Asked("second"))
        table = HookTable(context.master.addons)
        assert names(table, "request") == [["child", "first"], ["second"]] or names(table, "request") == [
            ["first", "child"],
            ["second"],
        ]
        assert names(table, "error") == []


def test_it_is_made_anew_when_addons_change() -> None:
    with taddons.context(loadcore=False) as context:
        parent = Asked("parent", [])
        context.master.addons.add(parent)
        table = HookTable(context.master.addons)
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
        table = HookTable(context.master.addons)
        (((owner, condition, hook),),) = table.entries("response")
        assert owner is addon
        assert hook == addon.response
        assert condition is not None
        assert not condition(addon)
        (((_, none, _),),) = table.entries("request")
        assert none is None


class Describing:
    """Only describes flows to others."""

    rules = ()

    @only_describes
    def tcp_start(self, flow: object) -> None:
        """Describe a flow."""

    @only_if("rules")
    def update(self, flows: object) -> None:
        """Look at flows if there are rules."""


def test_an_event_is_watched_if_more_is_done_than_to_describe_a_flow() -> None:
    with taddons.context(loadcore=False) as context:
        addon: Any = Describing()
        context.master.addons.add(addon)
        table = HookTable(context.master.addons)
        assert table.may_act("tcp_start")
        assert not table.is_watched("tcp_start", "update")
        addon.rules = ("one",)
        assert table.is_watched("tcp_start", "update")
        assert not table.is_watched("tcp_start")
        addon.rules, addon.tcp_start = (), lambda flow: None  # such as a mock
        assert table.is_watched("tcp_start")
        del addon.tcp_start
        context.master.addons.add(
            watching := type("Watching", (), {"name": "w", "tcp_start": lambda self, flow: None})()
        )
        assert table.is_watched("tcp_start")
        context.master.addons.remove(watching)
        assert not table.is_watched("tcp_start")
