"""A proxy for the commands that ask one: it has stored an answer, given it again, and met an origin that is gone."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.curl import curl
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import free_port

from proxy_policies.command.main import main


@dataclass
class Asked:
    """The proxy, the URL of what it has stored, and of what it could not reach."""

    proxy: Mitmdump
    stored: str
    failed: str


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Start it, and ask it for something."""
    origin = Origin()
    origin.routes["/page"] = lambda _: Answer(headers=[("Cache-Control", "max-age=600")])
    arguments = ["--set", f"home_listen={free_port()}", "--set", "home_tls=none"]
    proxy = Mitmdump(arguments, confdir=tmp_path_factory.mktemp("confdir"))
    stored, failed = f"{origin.url}/page", f"http://127.0.0.1:{free_port()}/gone"
    for url, status in ((stored, 200), (stored, 200), (failed, 502)):
        assert curl("-x", proxy.url, url).status == status
    yield Asked(proxy, stored, failed)
    proxy.stop()
    origin.close()


@pytest.fixture
def run(asked: Asked, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a sub-command that asks the proxy; gives what it prints, of a failing one the last line about the error."""

    def run(*words: str, code: int = 0) -> str:
        assert main([*words, "--confdir", str(asked.proxy.confdir)]) == code
        printed = capsys.readouterr()
        if code:
            return printed.err
        assert bool(printed.out) != bool(printed.err)  # that nothing was found is no output
        return printed.out or printed.err

    return run


@pytest.fixture
def run_json(run: Callable[..., str]) -> Callable[..., Any]:
    """Run one with --json; gives what it printed, read."""
    return lambda *words: json.loads(run(*words, "--json"))
