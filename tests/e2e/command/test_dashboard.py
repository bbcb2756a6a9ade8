"""`proxy-policies dashboard` of a mitmdump that prints nothing."""

from collections.abc import Callable

import pytest
from tests.support.curl import curl
from tests.support.mitmdump import Mitmdump
from tests.support.waiting import free_port, wait_until

from proxy_policies.command.main import main
from proxy_policies.control.client import instances


def test_the_token_of_a_quiet_proxy(mitmdump: Callable[..., Mitmdump], capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    proxy = mitmdump("--set", f"dashboard={port}", "-q", wait=False)
    wait_until(lambda: instances([proxy.confdir]))
    assert main(["dashboard", "--confdir", str(proxy.confdir)]) == 0
    url = capsys.readouterr().out.strip()
    assert url.startswith(f"http://127.0.0.1:{port}/?token=")
    assert curl(url).status == 303
    assert "token" not in proxy.log()


def test_there_is_none(mitmdump: Callable[..., Mitmdump], capsys: pytest.CaptureFixture[str]) -> None:
    proxy = mitmdump()
    wait_until(lambda: instances([proxy.confdir]))
    assert main(["dashboard", "--confdir", str(proxy.confdir)]) == 1
    assert "its dashboard is off: --set dashboard=8082 turns it on" in capsys.readouterr().err
