"""The units, as systemd reads them, and how much they leave open."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.programs import find

from proxy_policies.command.commands import parse
from proxy_policies.service.units import HIDDEN, SERVICES, hidden, unit

EXPOSURE = 3.0
"""The most that `systemd-analyze security` may find: of 10, and 2 is a service that talks to the network."""


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_takes_it(name: str, tmp_path: Path) -> None:
    analyze = find("systemd-analyze")
    if analyze is None:
        pytest.skip("needs systemd-analyze")
    path = tmp_path / f"{name}.service"
    path.write_text(unit(name, sys.executable))
    verified = subprocess.run([analyze, "verify", path], capture_output=True, text=True, timeout=60)
    assert name not in verified.stderr, verified.stderr
    command = [analyze, "security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", str(path)]
    secured = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert secured.returncode == 0, secured.stdout[-300:]


@pytest.mark.parametrize("name", SERVICES)
def test_what_it_starts_is_a_command_line(name: str) -> None:
    found = re.search(
        r"^ExecStart=/bin/proxy-policies (.*) \$ARGUMENTS$", unit(name, "/bin/proxy-policies"), re.MULTILINE
    )
    assert found
    assert parse(found[1].split()).mitmproxy_arguments == ["--set", f"confdir=%S/{name}"]


def test_a_percent_sign_is_the_paths_own() -> None:
    assert "ExecStart=/opt/100%%/proxy-policies run" in unit("proxy-policies", "/opt/100%/proxy-policies")


@pytest.mark.parametrize(
    ("path", "is_hidden"),
    [
        ("/opt/proxy-policies", False),
        ("/usr", False),
        ("/homes/x", False),
        *((f"{folder}/ann/.local/share/uv/python/cpython-3.13", True) for folder in HIDDEN),
    ],
)
def test_what_a_unit_cannot_see(path: str, is_hidden: bool) -> None:
    assert hidden([Path("/usr"), Path(path)]) == (Path(path) if is_hidden else None)


@pytest.mark.parametrize("name", SERVICES)
def test_what_cannot_start_is_given_up(name: str) -> None:
    """A start takes seconds, so that systemd's own limit, five in ten seconds, was never reached."""
    settings = dict(re.findall(r"^(StartLimit\w+|RestartSec)=(\d+)$", unit(name, "/bin/proxy-policies"), re.MULTILINE))
    seconds_a_start = int(settings["StartLimitIntervalSec"]) / int(settings["StartLimitBurst"])
    assert seconds_a_start >= int(settings["RestartSec"]) + 10, "also on a slow machine"


def test_logs_have_a_folder() -> None:
    assert "\nLogsDirectory=proxy-policies-home\n" in unit("proxy-policies-home", "/bin/proxy-policies")
