"""What is shipped works where it lands: a wheel, a bare clone, a clone on which no script has ever run."""

import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.clone import Clone
from tests.support.mitmdump import LISTENING, Running, environment
from tests.support.origin import Origin

ROOT = Path(__file__).parents[1]
MITMDUMP = "import sys; sys.argv[0] = 'mitmdump'; from mitmproxy.tools.main import mitmdump; mitmdump()"

# All of it makes environments; one worker is enough to keep busy with that.
pytestmark = pytest.mark.xdist_group("packaging")


@pytest.fixture
def python(tmp_path: Path) -> str:
    """Return the Python of an environment that has what we have, but not this project."""
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    packages = next(folder.glob("lib/python3.*/site-packages"))
    (packages / "theirs.pth").write_text(sysconfig.get_path("purelib"))  # a .pth in there is not followed
    return str(folder / "bin/python")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a command from another working directory; ended with the test. Gives it as soon as it listens."""
    started: list[Running] = []

    def start(*command: str, timeout: float = 20, confdir: Path = tmp_path / "confdir") -> Running:
        listening = ["--listen-host", "127.0.0.1", "--listen-port", "0", "--set", f"confdir={confdir}"]
        running = Running([*command, *listening], environment(PYTHONPATH=""), cwd=tmp_path)
        started.append(running)
        running.port = int(running.wait_log(LISTENING, timeout)[1])
        return running

    yield start
    for running in started:
        running.stop()


def test_the_wheel_takes_every_script_along() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert shipped == {
        f"addons/{path.name}": f"proxy_policies/scripts/{path.name}" for path in sorted((ROOT / "addons").glob("*.py"))
    }


def test_a_wheel_is_the_whole_product(
    python: str, start: Callable[..., Running], tmp_path: Path, origin: Callable[..., Origin], curl: Any
) -> None:
    clone = Clone(tmp_path)
    pip = [sys.executable, "-m", "pip", "--python", python, "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", str(clone.root)], check=True, timeout=100)
    shutil.rmtree(clone.root)
    command = str(Path(python).with_name("proxy-policies"))
    home = environment(PYTHONPATH="", HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path / "data"))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([command, *words], capture_output=True, text=True, timeout=60, cwd=tmp_path, env=home)

    script = Path(run("path").stdout.removesuffix("\n"))
    assert Path(python).parents[1] in script.parents
    assert json.loads(run("path", "--json").stdout).keys() == {path.stem for path in (ROOT / "addons").glob("*.py")}
    assert run("path", "polcy").returncode == 2
    assert json.loads(run("version", "--json").stdout)["package"] == str(script.parents[1])

    server, bare = origin(), start(python, "-c", MITMDUMP, "-s", str(script))
    assert curl("-x", bare.url, f"{server.url}/").status == 200
    assert bare.stop() == 0

    assert run("certs", "make").returncode == 0
    confdir = tmp_path / "data/proxy-policies/certs/confdir"
    for words in (["run"], ["run", "--workers", "2"]):
        proxy = start(command, *words, confdir=confdir)
        assert curl("-x", proxy.url, f"{server.url}/").status == 200
        assert proxy.stop() == 0

    recorded = run(
        "capture", "record", "x.har", "--confdir", f"{tmp_path}/confdir", "--", "curl", "-s", f"{server.url}/"
    )
    assert (recorded.returncode, recorded.stdout) == (0, "hello from the origin\n"), recorded.stderr
    assert run("capture", "check", "x.har", "--target", server.url).returncode == 0


def test_a_bare_clone_works_from_anywhere(
    python: str, start: Callable[..., Running], tmp_path: Path, origin: Callable[..., Origin], curl: Any
) -> None:
    clone = Clone(tmp_path)
    server, proxy = origin(), start(python, "-c", MITMDUMP, "-s", f"{clone.root}/addons/policy.py")
    assert curl("-x", proxy.url, f"{server.url}/").status == 200
    assert "rror" not in proxy.log()


@pytest.mark.timeout(600)
def test_the_first_start_makes_all_it_needs(tmp_path: Path, origin: Callable[..., Origin], curl: Any) -> None:
    """From nothing: Python is found, .venv made, only what the project declares is installed, and traffic passes."""
    clone = Clone(tmp_path)
    command = [f"{clone.root}/scripts/proxy", "--listen-port", "0"]
    proxy = Running(command, clone.environment(PYTHONPATH=""), cwd=clone.home)
    try:
        proxy.port = int(proxy.wait_log(LISTENING, 580)[1])
        assert proxy.log().startswith("proxy: installing into .venv, once …\n")
        assert curl("-x", proxy.url, f"{origin().url}/").status == 200
    finally:
        proxy.stop()
    checked = subprocess.run([f"{clone.root}/.venv/bin/python", "-m", "pip", "check"], timeout=60)
    assert checked.returncode == 0
    again = clone.run("proxy", "--version", PYTHONPATH="", PIP_NO_INDEX="1")
    assert (again.returncode, again.stderr) == (0, "")
