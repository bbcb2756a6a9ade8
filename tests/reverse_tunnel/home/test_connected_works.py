"""The works that are connected to home."""

import asyncio

import pytest
from tests.support.home_and_works_in_process import Tunnel, echo
from tests.support.waiting import eventually

from proxy_policies.reverse_tunnel.home.connected_works import WorkRegistry, describe
from proxy_policies.reverse_tunnel.protocol.command_protocol import OpenRequest
from proxy_policies.reverse_tunnel.protocol.messages import Refusal
from proxy_policies.reverse_tunnel.transport.framed import Framed


async def test_who_is_asked_for_a_service(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    address = await tunnel.serve(echo)
    await tunnel.start_work("first", services={"echo": address})
    await tunnel.start_work("second", services={"echo": address, "web": address})
    works = tunnel.home.works
    assert [work.name for work in works.find("echo")] == ["first", "second"]
    assert [work.name for work in works.find("web")] == ["second"]
    assert [work.name for work in works.find("anything", "first")] == ["first"]
    works.put_last(works.find("echo")[0])
    assert [work.name for work in works.find("echo")] == ["second", "first"]
    assert describe(works.find("web")[0]) in ("echo, web", "web, echo")
    with pytest.raises(Refusal, match="no work offers mail"):
        works.find("mail")
    with pytest.raises(Refusal, match="no work third is connected"):
        works.find("echo", "third")


def test_without_any_work_there_is_nothing_to_find() -> None:
    works = WorkRegistry()
    assert (list(works), works.awaited) == ([], 0)
    with pytest.raises(Refusal, match="none offers echo"):
        works.find("echo")


async def test_one_that_is_removed_is_not_found_any_more(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    (work,) = tunnel.home.works
    assert tunnel.home.works.remove(work)
    assert not tunnel.home.works.remove(work)
    assert list(tunnel.home.works) == []


async def test_a_data_connection_that_comes_as_its_client_leaves_is_closed(
    tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both in one turn of the event loop: no client gets the connection."""
    await tunnel.start_home()
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)}, spares=0)
    (work,) = tunnel.home.works
    claim, came = work.claim, list[Framed]()
    opening = asyncio.create_task(work.open(OpenRequest("echo")))

    def claim_and_leave(data: Framed, token: str) -> None:
        claim(data, token)
        came.append(data)
        opening.cancel()

    monkeypatch.setattr(work, "claim", claim_and_leave)
    with pytest.raises(asyncio.CancelledError):
        await opening
    await eventually(lambda: came[0].is_closing())
