import asyncio

from mitmproxy.proxy import commands, events

from proxy_policies.patches.connection_handlers import ClientHandler
from proxy_policies.patches.wakeups import Awaited


class Opened(Awaited):
    def __init__(self) -> None:
        super().__init__(1000)
        self.door = asyncio.Event()

    async def wait(self) -> None:
        await self.door.wait()


class Woken(ClientHandler):
    """Notes its events."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []
        self.wakeup_timer = set()

    async def server_event(self, event: events.Event) -> None:
        self.events.append(event)

    async def handle_hook(self, hook: commands.StartHook) -> None:
        raise NotImplementedError


async def woken_by(handler: "Woken", opened: "Opened") -> None:
    waiting = asyncio.create_task(handler.wakeup(opened))
    await asyncio.sleep(0)
    assert not handler.events
    opened.door.set()
    await waiting


def test_a_layer_is_woken_when_the_wait_is_over() -> None:
    handler, opened = Woken(), Opened()
    asyncio.run(woken_by(handler, opened))
    assert [it.command for it in handler.events if isinstance(it, events.Wakeup)] == [opened]
