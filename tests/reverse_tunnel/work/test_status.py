"""What `tunnel.status` answers about work."""

from tests.support.home_and_works_in_process import Tunnel, connect, echo
from tests.support.waiting import eventually

from proxy_policies.addresses import format_target
from proxy_policies.reverse_tunnel.work.agent import WorkAgent
from proxy_policies.reverse_tunnel.work.status import status


async def test_it_says_where_work_is_connected_and_what_it_offers(tunnel: Tunnel) -> None:
    await tunnel.start_home()
    work = await tunnel.start_work(services={"echo": await tunnel.serve(echo)})
    await connect(await tunnel.client_listener("echo"))
    await eventually(lambda: work.sessions)
    (line,), data = status(work)
    home = format_target(*work.config.home.address[:2]) if work.config.home else ""
    assert line == f"work office: connected to home {work.home} at {home}; offers echo; 1 session"
    assert data["work"] | {"home_name": "home"} == {
        "name": "office",
        "home": home,
        "home_name": "home",
        "failure": None,
        "services": ["echo"],
        "sessions": 1,
    }


async def test_it_says_why_work_is_not_connected(tunnel: Tunnel) -> None:
    assert status(WorkAgent())[1] == {"work": None}
    await tunnel.start_home()
    work = await tunnel.start_work()
    await tunnel.home.close()
    await eventually(lambda: work.failure)
    (line,), data = status(work)
    assert line.startswith("work office: not connected to home 127.0.0.1:")
    assert f": {data['work']['failure']}; offers nothing; 0 sessions" in line
