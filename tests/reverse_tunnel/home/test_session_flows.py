"""Sessions as TCP flows."""

import pytest
from mitmproxy import connection
from mitmproxy.tcp import TCPFlow
from mitmproxy.test import taddons

from proxy_policies import trace
from proxy_policies.finished.flow_records import of_stream
from proxy_policies.reverse_tunnel.home.session_flows import SessionFlows
from proxy_policies.reverse_tunnel.home.sessions import Session


class Watcher:
    def __init__(self) -> None:
        self.seen: list[tuple[str, TCPFlow]] = []

    def tcp_start(self, flow: TCPFlow) -> None:
        self.seen.append(("start", flow))

    def tcp_end(self, flow: TCPFlow) -> None:
        self.seen.append(("end", flow))

    def tcp_error(self, flow: TCPFlow) -> None:
        self.seen.append(("error", flow))


@pytest.mark.parametrize(("error", "last", "verdict"), [("", "end", "ended"), ("reset", "error", "cut off")])
async def test_a_session_is_shown_from_its_start_to_its_end(error: str, last: str, verdict: str) -> None:
    watcher, flows = Watcher(), SessionFlows(lambda: 4)
    session = Session("ssh", "office", ("192.0.2.7", 5000), ("127.0.0.1", 9001), list)
    with taddons.context(watcher):
        await flows.opened(session)
        await flows.linked(session)
        assert session.tap is not None
        session.tap(True, b"abc")
        session.tap(False, b"defg")
        session.counts.up, session.counts.down, session.counts.error = 3, 4, error
        await flows.closed(session)
    assert [name for name, _ in watcher.seen] == ["start", last]
    flow = watcher.seen[0][1]
    assert [(message.from_client, message.content) for message in flow.messages] == [(True, b"abc"), (False, b"d")]
    assert flow.client_conn.peername == ("192.0.2.7", 5000)
    assert flow.server_conn.state is connection.ConnectionState.CLOSED
    assert (trace.notes(flow)[0]["verdict"], trace.notes(flow)[0]["up"]) == (verdict, 3)
    assert flow.comment.startswith("ssh@office: ")


class Late:
    def __init__(self) -> None:
        self.seen: list[tuple[int, str]] = []

    def tcp_end(self, flow: TCPFlow) -> None:
        self.seen.append((trace.notes(flow)[0]["up"], flow.comment))


async def test_a_flow_is_made_when_an_addon_looks_at_it() -> None:
    flows, late = SessionFlows(lambda: 4), Late()
    session, unseen = (Session("ssh", "office", ("192.0.2.7", 5000), None, list) for _ in range(2))
    with taddons.context() as context:
        for each in (session, unseen):
            await flows.opened(each)
            assert each.tap is None
            await flows.linked(each)
        await flows.closed(unseen)
        context.master.addons.add(late)
        session.counts.up = 3
        await flows.closed(session)
    assert [(up, comment.partition(",")[0]) for up, comment in late.seen] == [(3, "ssh@office: 3 bytes up")]


@pytest.mark.parametrize(("is_linked", "status"), [(True, 200), (False, 502)])
async def test_a_flow_made_at_the_end_says_when_the_session_began_and_if_it_was_connected(
    is_linked: bool, status: int
) -> None:
    flows, watcher = SessionFlows(lambda: 0), Watcher()
    session = Session("ssh", "office", None, None, list)
    session.started -= 60
    with taddons.context() as context:
        await flows.opened(session)
        if is_linked:
            await flows.linked(session)
        context.master.addons.add(watcher)
        session.counts.error = "reset"
        await flows.closed(session)
    record = of_stream(watcher.seen[0][1])
    assert record.status == status
    assert 60 <= record.seconds < 120


async def test_nothing_is_kept_unless_that_is_wanted() -> None:
    session = Session("ssh", "", None, None, list)
    with taddons.context():
        await SessionFlows(lambda: 0).opened(session)
    assert session.tap is None
