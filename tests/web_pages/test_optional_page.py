"""A page that an option turns on, moves and turns off."""

import asyncio
import gc
import socket
import warnings
from collections.abc import AsyncIterator
from functools import partial

import pytest
from tests.support.waiting import free_port
from tornado import web

from proxy_policies.web_pages.optional_page import OptionalPage
from proxy_policies.web_pages.page_server import PageServer

NOWHERE = "203.0.113.1"
"""An address that no machine has (RFC 5737)."""


class Name(web.RequestHandler):
    """Says which page it is."""

    def initialize(self, name: str) -> None:
        self._name = name

    def get(self) -> None:
        self.finish(self._name)


def begin(name: str, sockets: list[socket.socket]) -> PageServer:
    return PageServer(sockets, web.Application([("/", Name, {"name": name})]), 0)


async def served(host: str, port: int) -> str:
    """Return which page is served; "" if none."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return ""
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.rpartition(b"\n")[2].decode()


class Counted(OptionalPage):
    """A page, and how often it ended."""

    def __init__(self) -> None:
        self.ends = 0
        super().__init__(self._count)

    def _count(self) -> None:
        self.ends += 1


@pytest.fixture
async def page() -> AsyncIterator[Counted]:
    page = Counted()
    yield page
    await page.close()
    assert not page.is_served


async def test_it_is_served_where_it_moves(page: Counted) -> None:
    first, second = free_port(), free_port()
    page.move(("127.0.0.1", first), partial(begin, "a"))
    assert (await served("127.0.0.1", first), page.is_served) == ("a", True)
    page.move(("127.0.0.1", second), partial(begin, "b"))
    assert (await served("127.0.0.1", first), await served("127.0.0.1", second)) == ("", "b")
    page.move(None, partial(begin, "c"))
    assert (await served("127.0.0.1", second), page.is_served, page.ends) == ("", False, 2)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "", "0.0.0.0"])
@pytest.mark.parametrize("former", ["127.0.0.1", ""])
async def test_another_address_on_the_same_port(page: Counted, former: str, host: str) -> None:
    port = free_port()
    page.move((former, port), partial(begin, "a"))
    page.move((host, port), partial(begin, "b"))
    assert await served("127.0.0.2" if host == "127.0.0.2" else "127.0.0.1", port) == "b"


async def test_it_stays_as_it_was_if_the_new_address_cannot_be_bound(page: Counted) -> None:
    port = free_port()
    page.move(("127.0.0.1", port), partial(begin, "a"))
    with warnings.catch_warnings(action="ignore"):
        for address in ((NOWHERE, port), (NOWHERE, free_port())):
            with pytest.raises(OSError, match="assign"):
                page.move(address, partial(begin, "b"))
            assert await served("127.0.0.1", port) == "a"
        with socket.create_server(("127.0.0.2", port)):
            with pytest.raises(OSError, match="in use"):
                page.move(("", port), partial(begin, "b"))
            assert await served("127.0.0.1", port) == "a"
        gc.collect()  # tornado leaves the sockets that it could not bind to the collector
