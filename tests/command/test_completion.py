"""Shells complete the command: bash, zsh and fish, each asked as at a terminal."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.support.mitmdump import environment
from tests.support.programs import need
from tests.support.waiting import PATIENCE

from proxy_policies.command.completion import SHELLS, settings_that_begin

BINARIES = str(Path(sys.executable).parent)


def script(shell: str) -> str:
    command = [sys.executable, "-m", "proxy_policies", "completion", shell]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment()).stdout


def with_command(**extra: str) -> dict[str, str]:
    return environment(PATH=f"{BINARIES}:{os.environ['PATH']}", TERM="dumb", **extra)


def bash(line: str, tmp_path: Path) -> set[str]:
    (tmp_path / "completion").write_text(script("bash"))
    code = """
    source completion
    COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
    read -ra COMP_WORDS <<<"$1x"
    _python_argcomplete proxy-policies
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    command = ["bash", "-c", code, "bash", line]
    done = subprocess.run(command, cwd=tmp_path, env=with_command(), capture_output=True, text=True, timeout=60)
    return {word.strip() for word in done.stdout.splitlines() if word.strip()}


def fish(line: str, tmp_path: Path) -> set[str]:
    need("fish")
    (tmp_path / "completion").write_text(script("fish"))
    code = 'source completion; complete --do-complete "$line"'
    env = with_command(line=line, HOME=str(tmp_path))
    done = subprocess.run(["fish", "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    return {word.split("\t")[0].strip() for word in done.stdout.splitlines() if word.strip()}


def zsh(line: str, tmp_path: Path) -> set[str]:
    """Type a line into an interactive zsh, which lists what fits at TAB."""
    (tmp_path / "_proxy-policies").write_text(script("zsh"))
    (tmp_path / ".zshrc").write_text("fpath=($HOME $fpath); autoload -U compinit; compinit -u; PS1='ready> '\n")
    parent, child = pty.openpty()
    env = with_command(HOME=str(tmp_path), ZDOTDIR=str(tmp_path), COLUMNS="200")
    shell = subprocess.Popen(
        [need("zsh"), "-i"], stdin=child, stdout=child, stderr=child, cwd=tmp_path, env=env, start_new_session=True
    )
    os.close(child)
    try:
        wait_for(parent, "ready> ")
        os.write(parent, f"{line}\t\t".encode())
        return set(re.findall(r"[\w-]+", wait_for(parent, "work|once")))
    finally:
        shell.kill()
        shell.wait()
        os.close(parent)


def wait_for(descriptor: int, pattern: str) -> str:
    """Read a terminal until it has shown what was waited for, and a little longer."""
    shown, until = "", time.monotonic() + 30 * PATIENCE
    while time.monotonic() < until:
        ready, _, _ = select.select([descriptor], [], [], 0.5)
        if ready:
            shown += os.read(descriptor, 65536).decode(errors="replace")
        elif re.search(pattern, shown):
            return shown
    raise AssertionError(f"no {pattern} in {shown!r}")


def test_bash_completes_sub_commands_options_and_values(tmp_path: Path) -> None:
    assert {"run", "capture", "certs", "completion"} <= bash("proxy-policies ", tmp_path)
    assert bash("proxy-policies cap", tmp_path) == {"capture"}
    assert bash("proxy-policies completion ", tmp_path) == set(SHELLS)
    assert {"chromium", "java"} <= bash("proxy-policies certs verify ", tmp_path)
    assert "--target" in bash("proxy-policies capture check --", tmp_path)
    assert bash("proxy-policies run --listen-h", tmp_path) == {"--listen-host"}  # mitmdump's own


def test_fish_completes(tmp_path: Path) -> None:
    assert {"run", "capture", "certs"} <= fish("proxy-policies ", tmp_path)
    assert fish("proxy-policies completion ", tmp_path) == set(SHELLS)


def test_zsh_completes(tmp_path: Path) -> None:
    assert {"run", "capture", "certs"} <= zsh("proxy-policies ", tmp_path)


def test_options_of_mitmproxy_and_of_policies_complete_after_set() -> None:
    assert settings_that_begin("cache_s") == ["cache_size=", "cache_strict="]
    assert "listen_port=" in settings_that_begin("listen")


def test_values_complete_after_an_option_that_has_a_choice() -> None:
    assert settings_that_begin("replay_mode=") == [f"replay_mode={word}" for word in ("loop", "new", "once", "strict")]
    assert settings_that_begin("cache_strict=o") == ["cache_strict=off", "cache_strict=on"]
    assert settings_that_begin("ssl_insecure=t") == ["ssl_insecure=true"]
    assert settings_that_begin("cache=") == []
