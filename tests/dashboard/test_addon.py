"""What is chosen while the proxy runs takes effect, and what cannot be leaves everything as it was."""

import asyncio
import gc
import socket
import urllib.error
import urllib.request
import warnings

import pytest
from mitmproxy import exceptions
from mitmproxy.test import taddons
from tests.support.waiting import free_port

from proxy_policies.dashboard.addon import Dashboard, parse_password
from proxy_policies.settings import Settings

PASSWORDS = "the first password", "the second password"


async def status(port: int, password: str) -> int:
    def ask() -> int:
        fields = {"Authorization": f"Bearer {password}"}
        try:
            with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/", headers=fields)) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    return await asyncio.to_thread(ask)


async def test_another_password_on_the_same_port() -> None:
    policy, port = Dashboard(), free_port()
    with taddons.context(Settings([policy]), policy) as context:
        for password in PASSWORDS:
            context.configure(policy, dashboard=str(port), dashboard_password=password)
            assert [await status(port, each) for each in PASSWORDS] == [
                200 if each == password else 401 for each in PASSWORDS
            ]
        with socket.create_server(("127.0.0.1", 0)) as taken, warnings.catch_warnings(action="ignore"):
            with pytest.raises(exceptions.OptionsError, match="cannot listen"):
                context.options.update(dashboard=str(taken.getsockname()[1]))
            gc.collect()  # tornado leaves the socket that it could not bind to the collector
            assert await status(port, PASSWORDS[1]) == 200
        with pytest.raises(exceptions.OptionsError, match="set dashboard_password"):
            context.options.update(dashboard=f"*:{port}", dashboard_password="")
        assert await status(port, PASSWORDS[1]) == 200
        context.configure(policy, dashboard="off")
        with pytest.raises(urllib.error.URLError):
            await status(port, PASSWORDS[1])
        await policy.done()


def test_passwords() -> None:
    assert parse_password("") == ""
    for wrong in ("short", "with\nline ends in it"):
        with pytest.raises(ValueError, match="at least 16 characters"):
            parse_password(wrong)
