"""What `tunnel.status` answers about home."""

from tests.support.home_and_works_in_process import Tunnel, connect, echo
from tests.support.waiting import eventually

from proxy_policies.reverse_tunnel.home.status import status


async def test_works_and_sessions_have_a_line_each(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    assert status(tunnel.home)[0] == ["no work connected", "no sessions"]
    entrance = await tunnel.client_listener("echo")
    await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    await connect(entrance)
    await eventually(lambda: list(tunnel.home.sessions))
    (work, session), data = status(tunnel.home)
    assert work.startswith("work office: echo; ")
    assert session.startswith("session ")
    assert " to echo, " in session
    (work_data,), (session_data,) = data["works"], data["sessions"]
    assert work_data["services"] == ["echo"]
    assert (session_data["service"], session_data["work"]) == ("echo", None)
