"""`proxy-policies version`."""

import json
import platform

import pytest
from mitmproxy.version import VERSION as MITMPROXY

from proxy_policies.command.main import main
from proxy_policies.version import VERSION


def test_it_prints_what_is_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["proxy-policies"] == VERSION
    assert main(["version", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["mitmproxy"], found["python"]) == (MITMPROXY, platform.python_version())
    assert lines.keys() == found.keys()
