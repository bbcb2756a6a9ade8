"""How the command ends."""

import argparse
import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.mitmdump import environment

from proxy_policies.command import commands, main

NOWHERE = "http://127.0.0.1:9"
FILES: dict[str, bytes] = {
    "empty.har": b"",
    "binary.har": bytes(range(256)) * 8,
    "list.har": b"[]",
    "no-log.har": b'{"log": {}}',
    "bad-entry.har": b'{"log": {"version": "1.2", "entries": [{}]}}',
    "deep.har": b"[" * 100_000,
    "cut.har": b'{"log": {"version": "1.2", "_capture": {"format": 1}, "entries": [\n',
    "gzip.har": b"\x1f\x8b\x08",
    "a\x1b[31m.har": b"{",
}
NOT_FILES = (
    "",
    "folder",
    "missing.har",
    "missing/x.har",
    "empty.har/x.har",
    "x" * 300,
    "a\nb",
    "\udcff.har",
    "~nobody-at-all",
)


def below(path: str, name: str) -> str:
    """Return a path below another, which is never the root folder: root may write there."""
    return f"{path or 'missing'}/{name}"


WITH_A_FILE: dict[str, Callable[[str], list[str]]] = {
    "show": lambda path: ["capture", "show", path],
    "show one": lambda path: ["capture", "show", path, "1"],
    "show --repair": lambda path: ["capture", "show", path, "--repair"],
    "scrub": lambda path: ["capture", "scrub", path, "-o", "no-folder/x.har", "--confdir", "conf"],
    "scrub --dry-run": lambda path: ["capture", "scrub", path, "--dry-run", "--confdir", "conf"],
    "scrub -o": lambda path: ["capture", "scrub", "whole.har", "-o", below(path, "x.har"), "--confdir", "conf"],
    "merge": lambda path: ["capture", "merge", path, "whole.har", "-o", "folder"],
    "export": lambda path: ["capture", "export", path, "no-folder/x.sh", "--confdir", "conf"],
    "export to": lambda path: [
        "capture",
        "export",
        "whole.har",
        below(path, "x.sh"),
        "--overwrite",
        "--confdir",
        "conf",
    ],
    "check": lambda path: ["capture", "check", path, "--target", NOWHERE, "--confdir", "conf"],
    "check --html": lambda path: ["capture", "check", "whole.har", "--html", below(path, "x"), "--confdir", "conf"],
    "check --openapi": lambda path: ["capture", "check", "whole.har", "--openapi", path, "--confdir", "conf"],
    "check --secrets": lambda path: ["capture", "check", "whole.har", "--secrets", path, "--confdir", "conf"],
    "compare": lambda path: ["capture", "compare", NOWHERE, NOWHERE, path, "--confdir", "conf"],
    "certs env": lambda path: ["certs", "--folder", path, "env"],
    "certs verify": lambda path: ["certs", "--folder", path, "verify"],
    "certs trust": lambda path: ["certs", "--folder", path, "trust", "chromium"],
    "certs serve": lambda path: ["certs", "--folder", path, "serve", "--port", "0"],
    "certs undo": lambda path: ["certs", "--folder", path, "undo"],
    "certs make": lambda path: ["certs", "--folder", f"{path}/\0", "make"],
    "stats": lambda path: ["stats", "--confdir", path],
    "explain": lambda path: ["explain", "--confdir", path],
    "cache": lambda path: ["cache", "list", "--confdir", path],
    "tunnel": lambda path: ["tunnel", "close", "all", "--confdir", path],
    "units": lambda path: ["units", "--write", below(path, "no-folder")],
    "path": lambda path: ["path", path],
    "completion": lambda path: ["completion", path],
    "version": lambda path: ["version", f"{path} x"],
}


def run(monkeypatch: pytest.MonkeyPatch, act: Callable[[], int]) -> int:
    monkeypatch.setattr(commands, "parse", lambda _: argparse.Namespace(run_command=lambda _: act()))
    return main.main(["path"])


def fail(error: BaseException) -> Callable[[], int]:
    def act() -> int:
        raise error

    return act


def test_the_exit_code_is_the_sub_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, lambda: 7) == 7


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("too many"), "too many"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"), "/x: No such file or directory"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", 14), "Is a directory"),
        (OSError("odd"), "odd"),
        (ValueError("a\x1b[31mb"), r"a\x1b[31mb"),
    ],
    ids=repr,
)
def test_what_cannot_be_done_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, fail(error)) == 1
    assert capsys.readouterr().err == f"proxy-policies path: {line}\n"


def test_an_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, fail(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "\n"


INTERRUPTED_WHILE_IMPORTING = """
import os, runpy, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
runpy.run_module("proxy_policies", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("module", "code", "said"),
    [
        ("proxy_policies.command.main", -signal.SIGINT, ""),
        ("argparse", -signal.SIGINT, ""),
        ("mitmproxy.tools.main", 130, "\n"),
    ],
)
def test_an_interrupt_while_modules_are_imported_is_no_traceback(module: str, code: int, said: str) -> None:
    script = INTERRUPTED_WHILE_IMPORTING.format(module=module)
    run = [sys.executable, "-c", script, "run", "--version"]
    ended = subprocess.run(run, capture_output=True, text=True, env=environment(), timeout=120)
    assert (ended.returncode, ended.stderr) == (code, said)


@pytest.mark.parametrize("words", [[], *([group] for group in commands.GROUPS)], ids=" ".join)
def test_without_a_word_more_it_helps(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(words)
    assert ended.value.code == 0
    assert "examples:" in capsys.readouterr().out


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a working directory with files that no command can do much with, and one whole capture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, content in FILES.items():
        Path(name).write_bytes(content)
    Path("folder").mkdir()
    common = {"httpVersion": "HTTP/1.1", "headers": []}
    request = common | {"method": "GET", "url": "http://shop.test/"}
    response = common | {"status": 200, "statusText": "OK", "content": {"size": 0, "mimeType": ""}}
    entry = {"startedDateTime": "2026-01-01T00:00:00Z", "time": 1, "request": request, "response": response}
    Path("whole.har").write_text(json.dumps({"log": {"version": "1.2", "entries": [entry]}}))
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize("words", ["path --json", "--help", "stats --help", "capture show whole.har"])
def test_a_reader_that_has_enough_is_no_error(folder: Path, words: str) -> None:
    script = f"set -o pipefail; {sys.executable} -m proxy_policies {words} | (exec 0<&-; sleep 1); echo $?"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, env=environment())
    assert (done.stderr, done.stdout) in (("", "141\n"), ("", "0\n"))  # it may have printed all before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(("words", "code"), [("path --json", 1), ("capture show whole.har", 2), ("--help", 1)])
def test_a_full_disk_is_a_line(folder: Path, words: str, code: int) -> None:
    script = f"{sys.executable} -m proxy_policies {words} >/dev/full"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, env=environment())
    assert (done.returncode, done.stderr.count("\n")) == (code, 1)
    assert "No space left on device" in done.stderr


def end_of(words: list[str]) -> int:
    try:
        return main.main(words)
    except SystemExit as ended:
        return int(ended.code or 0)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("command", WITH_A_FILE)
def test_no_file_ends_in_a_traceback_or_is_lost(folder: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(folder)
    for path in (*FILES, *NOT_FILES):
        code = end_of(WITH_A_FILE[command](path))
        said = capsys.readouterr().err
        assert code in (0, 1, 2), path
        assert bool(code) <= bool(said), f"{path!r} is refused without a word"
        told = said[said.find(": error: ") + 1 :].removesuffix("\n")  # argparse puts the usage before it
        assert told.count("\n") <= 2 + path.count("\n"), said
        assert not any(hint in said for hint in ("Traceback", "[Errno", "PosixPath", ".part:", "\x1b")), said
        changed = {name for name, content in contents(folder).items() if content != before.get(name)}
        assert changed <= ({"empty.har", "cut.har"} if command == "show --repair" else set()), path


def test_what_is_no_file_is_not_replaced_by_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    Path("link").symlink_to("pipe")
    for name in ("pipe", "link"):
        for words in (["merge", "whole.har", "-o", name], ["export", "whole.har", name, "--as=har", "--overwrite"]):
            assert end_of(["capture", *words]) == 2
            assert capsys.readouterr().err == f"capture: {name}: not a regular file\n"
    assert Path("pipe").is_fifo()
    assert Path("link").is_symlink()


@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf", "x"])
@pytest.mark.parametrize("option", ["--timeout", "--rate", "--slower"])
def test_a_number_that_makes_no_sense_is_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert end_of(["capture", "check", "a.har", f"{option}={value}"]) == 2
    assert f"argument {option}: {value!r} is not a number above 0\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [("version", 1), ("doctor --help", 1), ("capture show whole.har", 2), ("capture scrub whole.har -o -", 2)],
)
def test_a_closed_stdout_is_a_line(folder: Path, words: str, code: int) -> None:
    script = f"{sys.executable} -m proxy_policies {words} >&-"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, env=environment())
    assert done.returncode == code
    assert re.fullmatch("(proxy-policies )?[a-z]+: standard output: Bad file descriptor\n", done.stderr), done.stderr


def test_a_narrow_encoding_prints_all_help() -> None:
    """As in a locale of ISO 8859-1."""
    code = """
import contextlib, sys
from proxy_policies.command import commands, main
names = [[command.name] for command in commands.COMMANDS]
names += [["capture", name] for name in ("record", "replay", "check", "compare", "show", "scrub", "merge", "export")]
for words in names:
    with contextlib.suppress(SystemExit):
        sys.exit(f"{words} {main.main([*words, '--help'])}")
"""
    env = environment(PYTHONIOENCODING="latin-1", COLUMNS="20")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, env=env)
    assert done.stderr == b""
    assert done.stdout.count(b"usage: ") == len(commands.COMMANDS) + 8


def test_the_console_needs_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["console"]) == 1
    assert capsys.readouterr().err == ("proxy-policies console: needs a terminal; run and web do not\n")
