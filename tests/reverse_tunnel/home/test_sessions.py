"""The sessions that live."""

import pytest

from proxy_policies.reverse_tunnel.home.sessions import NullObserver, Session, SessionTable
from proxy_policies.reverse_tunnel.limits import SessionLimits
from proxy_policies.reverse_tunnel.protocol.messages import Refusal

CLIENT = ("192.0.2.7", 5000)


def session(ended: list[str], service: str = "ssh", work: str = "") -> Session:
    return Session(service, work, CLIENT, ("127.0.0.1", 9001), lambda: ended.append(service))


def test_what_a_session_is_called() -> None:
    assert session([], "ssh", "office").target == "ssh@office"
    assert session([]).target == "ssh"
    assert session([]).source == "192.0.2.7:5000"
    assert Session("ssh", "", None, None, list).source == "this proxy"


def test_limits_are_for_sessions_that_live() -> None:
    table = SessionTable()
    table.limit(SessionLimits(client=1, rate=7))
    first, second = session([]), session([])
    table.enter(first)
    with pytest.raises(Refusal):
        table.enter(second)
    table.leave(first)
    table.leave(first)
    table.enter(second)
    assert ([one.number for one in table], table.rate) == ([second.number], 7)


@pytest.mark.parametrize(
    ("which", "expected"),
    [("all", ["ssh", "web"]), ("web", ["web"]), ("ssh@office", ["ssh"]), ("office", ["ssh"]), ("x", [])],
)
def test_closing_by_number_service_or_work(which: str, expected: list[str]) -> None:
    table, ended = SessionTable(), list[str]()
    for one in (session(ended, "ssh", "office"), session(ended, "web")):
        table.enter(one)
    assert table.close(which) == len(expected)
    assert ended == expected


async def test_the_null_observer_ignores_sessions() -> None:
    watcher = NullObserver()
    for learn in (watcher.opened, watcher.linked, watcher.closed):
        await learn(session([]))
