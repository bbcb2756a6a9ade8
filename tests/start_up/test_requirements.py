"""What is missing is said in one line, by the Python that misses it."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.mitmdump import ADDONS, Mitmdump, environment

from proxy_policies.start_up import requirements
from proxy_policies.start_up.requirements import LOWEST, MODULES, NEWEST, install_command, missing, numbers, untested

ROOT = Path(__file__).parents[2]
POLICY = str(ADDONS / "policy.py")
PIP = re.escape(f"{sys.executable} -m pip install ")
PRETENDED = """
import importlib.util, sys
from mitmproxy import version
version.VERSION = {version!r}
for module in {absent}:
    sys.modules.pop(module, None)
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {absent} else find_spec(name, package)
sys.argv[0] = "{program}"
from mitmproxy.addons import script
from mitmproxy.tools import main
load_script = script.load_script
def swallowing(path):  # 11.1.3 and 12.1.2 on Python 3.12
    try:
        return load_script(path)
    except SystemExit:
        return None
script.load_script = swallowing
main.{program}()
"""

COMMAND = """
import importlib.util, sys
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "http_sf" else find_spec(name, package)
sys.orig_argv, sys.argv = ["python", "-m", "proxy_policies"], [{program!r}, *{words}]
from proxy_policies.__main__ import main
main()
"""


def pretend(
    tmp_path: Path, version: str = NEWEST, absent: tuple[str, ...] = (), program: str = "mitmdump"
) -> subprocess.CompletedProcess[str]:
    """Start a mitmproxy that says it is of a version, and has no module of some names; one that runs is ended."""
    command = [sys.executable, "-c", PRETENDED.format(version=version, absent=absent, program=program)]
    command += ["--set", f"confdir={tmp_path}", "-p", "0", "--listen-host", "127.0.0.1", "-s", POLICY]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment())


@pytest.mark.parametrize("program", ["mitmdump", "mitmweb"])
@pytest.mark.parametrize(
    ("version", "absent", "line"),
    [
        ("12.2.0", (), rf"needs mitmproxy {LOWEST} or newer \(this is 12\.2\.0\): {PIP}'mitmproxy>={LOWEST}'"),
        ("11.1.3", (), rf"needs mitmproxy {LOWEST} or newer \(this is 11\.1\.3\): {PIP}'mitmproxy>={LOWEST}'"),
        (NEWEST, ("http_sf",), f"needs http-sf: {PIP}http-sf"),
        (NEWEST, ("http_sf", "jsonpath"), f"needs http-sf, python-jsonpath: {PIP}http-sf python-jsonpath"),
    ],
    ids=["too old", "much too old", "one missing", "two missing"],
)
def test_a_start_without_what_is_needed_ends_in_one_line(
    tmp_path: Path, version: str, absent: tuple[str, ...], line: str, program: str
) -> None:
    done = pretend(tmp_path, version, absent, program)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.fullmatch(f"proxy-policies {line}", done.stderr.strip())
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("program", ["/somewhere/bin/proxy-policies", "-m"])
@pytest.mark.parametrize("words", [["--help"], ["run"], ["capture", "--help"]], ids=" ".join)
def test_the_command_without_what_is_needed_ends_in_one_line(program: str, words: list[str]) -> None:
    code = COMMAND.format(program=program, words=words)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment())
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(f"proxy-policies needs http-sf: {PIP}http-sf\n", done.stderr)


def test_a_mitmproxy_never_tried_is_told_of_once(mitmdump: Callable[..., Mitmdump], tmp_path: Path) -> None:
    (tmp_path / "newer.py").write_text("from mitmproxy import version\nversion.VERSION = '99.0.0'\n")
    proxy = mitmdump("-s", POLICY, script=tmp_path / "newer.py")
    proxy.wait_log("mitmproxy 99.0.0 was never tested with these policies")
    proxy.stop()
    assert proxy.log().count("never tested") == 1


def test_what_is_here_will_do() -> None:
    assert missing() == ""
    assert untested() == ""


@pytest.mark.parametrize("extra", ["", "-lowest"])
def test_the_versions_that_were_tried_are_those_that_are_installed(extra: str) -> None:
    constraints = (ROOT / f"constraints{extra}.txt").read_text()
    assert f"\nmitmproxy=={LOWEST if extra else NEWEST}\n" in constraints
    assert not re.search(r"[/@]|file:|-e ", re.sub("#.*", "", constraints)), "a path or an address"


def test_the_project_says_the_same() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    packages = {re.split("[<>=]", dependency)[0] for dependency in dependencies}
    assert f"mitmproxy>={LOWEST},<13" in dependencies
    assert packages == {"mitmproxy", *MODULES.values()}


@pytest.mark.parametrize(
    ("version", "parts"), [("12.2.1", (12, 2, 1)), ("13.0.0.dev", (13, 0, 0)), ("12", (12,)), ("", ()), ("x.1", ())]
)
def test_versions_are_compared_by_their_numbers(version: str, parts: tuple[int, ...]) -> None:
    assert numbers(version) == parts


def test_the_command_that_mends_it_is_one_that_this_environment_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert install_command(["a", "b>=2"]) == f"{sys.executable} -m pip install a 'b>=2'"
    monkeypatch.setattr(requirements, "is_installed", lambda module: module != "pip")
    assert install_command(["a"]) == f"uv pip install --python {sys.executable} a"
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "mitmproxy"))
    (tmp_path / "mitmproxy").mkdir()
    (tmp_path / "mitmproxy/pipx_metadata.json").touch()
    assert install_command(["a"]) == "pipx runpip mitmproxy install a"
