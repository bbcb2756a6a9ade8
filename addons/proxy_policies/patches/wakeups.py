"""A wakeup at the end of a wait: a layer of mitmproxy goes on with other events until then."""

import abc

from mitmproxy.proxy.commands import RequestWakeup


class Awaited(RequestWakeup, abc.ABC):
    """A wakeup when `wait` returns, instead of after a fixed delay."""

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__(delay)

    @abc.abstractmethod
    async def wait(self) -> None:
        """Wait for what the layer is to be woken for."""
