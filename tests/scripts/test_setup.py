"""How every script finds a Python and makes .venv."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.support.clone import Clone

SHELL = "/bin/bash"
SLOW = """#!/bin/sh
[ "$2" = venv ] || exit 0
echo Traceback >&2
echo >"$HOME/ready"
sleep 100
"""
"""A Python that takes long to make an environment."""
RUNS_3_11 = "#!/bin/sh\nexit 1\n"
SHIM_WITHOUT_PYTHON = "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n"


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


def find_python(clone: Clone, path: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Source the common part with nothing but `path` (and coreutils) to find programs in."""
    command = f'. "{clone.root}/scripts/common.sh"; find_python'
    environment = {"HOME": str(clone.home), "PATH": f"{path}:/usr/local/sbin", **extra}
    tools = path.parent / "tools"
    for tool in ("dirname", "find", "sort", "sed"):
        if not (tools / tool).exists():
            tools.mkdir(exist_ok=True)
            (tools / tool).symlink_to(f"/usr/bin/{tool}")
    environment["PATH"] = f"{path}:{tools}"
    return subprocess.run([SHELL, "-c", command], env=environment, capture_output=True, text=True, timeout=100)


def suitable(log: Path) -> str:
    return f'#!/bin/sh\necho "$0" >> "{log}"\nexit 0\n'


def test_a_named_interpreter_is_taken_only_if_it_runs(clone: Clone, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    program(programs, "python3.13", SHIM_WITHOUT_PYTHON)
    program(programs, "python3.12", suitable(tmp_path / "log"))
    program(programs, "python3", RUNS_3_11)
    found = find_python(clone, programs)
    assert (found.returncode, found.stdout) == (0, "python3.12\n")


def test_pyenvs_versions_are_looked_through_newest_first(clone: Clone, tmp_path: Path) -> None:
    programs, versions = tmp_path / "programs", clone.home / ".pyenv/versions"
    program(programs, "python3", RUNS_3_11)
    program(versions / "3.9.18/bin", "python", RUNS_3_11)
    program(versions / "3.12.1/bin", "python", suitable(tmp_path / "log"))
    program(versions / "3.13.0/bin", "python", suitable(tmp_path / "log"))
    assert find_python(clone, programs).stdout == f"{versions}/3.13.0/bin/python\n"


def test_uv_is_asked_last(clone: Clone, tmp_path: Path) -> None:
    programs, managed = tmp_path / "programs", tmp_path / "managed"
    program(managed, "python", suitable(tmp_path / "log"))
    program(programs, "uv", f'#!/bin/sh\n[ "$1 $2" = "python find" ] && echo "{managed}/python"\n')
    assert find_python(clone, programs).stdout == f"{managed}/python\n"


@pytest.mark.parametrize("script", ["proxy", "test", "check", "fix", "certs"])
def test_without_a_python_there_is_one_line_and_exit_code_1(fresh_clone: Clone, tmp_path: Path, script: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "dirname", "readlink", "find", "sort", "sed", "mkdir", "cat"):
        (tools / tool).symlink_to(f"/usr/bin/{tool}")
    arguments = ["verify"] if script == "certs" else []
    done = fresh_clone.run(script, *arguments, PATH=str(tools), PYENV_ROOT="/nonexistent")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "Python 3.12 or newer" in line
    assert "uv python install" in line


def test_a_moved_clone_does_not_use_the_other_ones_venv(clone: Clone) -> None:
    assert clone.run("proxy", "--version").returncode == 0
    clone.root = clone.root.rename(clone.root.with_name("moved"))
    done = clone.run("proxy", "--version", PATH="/usr/bin:/bin", PYENV_ROOT="/nonexistent", PIP_NO_INDEX="1")
    assert "needs Python 3.12 or newer" in done.stderr, "it looks for one anew"


def test_an_environment_behind_a_link_is_not_emptied(fresh_clone: Clone, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "bin").mkdir(parents=True)
    (elsewhere / "precious").touch()
    (fresh_clone.root / ".venv").symlink_to(elsewhere)
    done = fresh_clone.run("proxy", "--version", PIP_NO_INDEX="1")
    assert done.returncode == 1
    assert "remove the link" in done.stderr
    assert (elsewhere / "precious").exists()


def test_ctrl_c_while_it_installs_prints_a_line(fresh_clone: Clone, tmp_path: Path) -> None:
    program(tmp_path, "python3.13", SLOW)
    os.mkfifo(fresh_clone.home / "ready")
    env = fresh_clone.environment(PATH=f"{tmp_path}:{os.environ['PATH']}")
    with subprocess.Popen(
        [str(fresh_clone.root / "scripts/proxy")], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stderr
        (fresh_clone.home / "ready").read_text()
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        assert running.stderr.readlines() == [
            "proxy: installing into .venv, once …\n",
            "proxy: interrupted: the next start installs what is missing\n",
        ]
        assert running.wait(100) == 130


@pytest.mark.parametrize("script", ["proxy", "test", "check", "fix", "certs", "bench"])
def test_help_installs_nothing(fresh_clone: Clone, script: str) -> None:
    done = fresh_clone.run(script, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"scripts/{script}")
    assert not done.stderr
    assert not (fresh_clone.root / ".venv").exists()
