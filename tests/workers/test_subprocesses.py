"""A supervisor's processes, as real ones."""

from __future__ import annotations

import asyncio
import errno
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.waiting import wait_until

from proxy_policies.workers import subprocesses
from proxy_policies.workers.subprocesses import Program

pytestmark = pytest.mark.timeout(30)


async def start(code: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)


async def test_what_it_says_comes_line_by_line_and_no_line_is_too_long() -> None:
    process = await start("print('one'); print('x' * 200_000); print('two', end='')")
    said = [line async for line in subprocesses.lines(process)]
    assert (said[0], said[-1]) == (b"one\n", b"two")
    assert b"(a line too long to print)\n" in said
    assert await process.wait() == 0


async def test_it_ends_when_it_is_asked_to() -> None:
    process = await start("import signal; print('here', flush=True); signal.pause()")
    assert await anext(subprocesses.lines(process)) == b"here\n"
    await subprocesses.end(process)
    assert process.returncode == -signal.SIGTERM
    await subprocesses.end(process)  # gone already


async def test_who_will_not_end_is_killed() -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True)"
    process = await start(f"{deaf}\nwhile True: signal.pause()")
    assert await anext(subprocesses.lines(process)) == b"here\n"
    await subprocesses.end(process, 0.1)
    assert await process.wait() == -signal.SIGKILL


async def test_one_that_has_just_ended_is_not_killed() -> None:
    children, process = subprocesses.ChildProcesses(print), await start("")
    children._running["it"] = process
    assert process.stdout
    await process.stdout.read()
    await process.wait()
    assert children.kill(process.pid) == ""
    assert children.kill(-1) == ""


def test_pauses_grow_to_a_bound() -> None:
    assert [subprocesses.restart_delay(times) for times in (1, 2, 3, 7, 100)] == [1, 2, 4, 60, 60]


async def test_who_never_worked_is_not_started_again() -> None:
    said: list[str] = []
    kept = subprocesses.ChildProcesses(said.append)
    assert await kept.keep(Program("it", (sys.executable, "-c", "exit(3)"))) == 3
    kept.close()
    assert said == []


async def test_who_worked_is_started_again_after_growing_pauses(
    capfd: pytest.CaptureFixture[str],
) -> None:
    said: list[str] = []
    kept = subprocesses.ChildProcesses(said.append)
    kept.note_working("it")
    command = Program("it", (sys.executable, "-c", "print('here', flush=True); exit(3)"), prefix="it: ")
    keeping = asyncio.ensure_future(kept.keep(command))
    await asyncio.to_thread(wait_until, lambda: len(said) == 2, 20)
    await kept.end()
    await keeping
    kept.close()
    assert said == [f"it died (exit code 3), starting it again in {pause} s" for pause in (1, 2)]
    assert capfd.readouterr().out == "it: here\n" * 2


async def test_who_cannot_be_started_again_is_tried_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocesses, "restart_delay", lambda short_lives: 0.01)
    genuine, refused = asyncio.create_subprocess_exec, iter((True, True))

    async def create(*arguments: str, **describe_exit: Any) -> asyncio.subprocess.Process:
        if next(refused, False):
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return await genuine(*arguments, **describe_exit)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create)
    said: list[str] = []
    kept = subprocesses.ChildProcesses(said.append)
    kept.note_working("it")
    keeping = asyncio.ensure_future(kept.keep(Program("it", (sys.executable, "-c", "import time; time.sleep(60)"))))
    await asyncio.to_thread(wait_until, lambda: len(said) == 4, 20)
    await kept.end()
    await keeping
    kept.close()
    refusal = "it cannot be started: Resource temporarily unavailable"
    assert said == [refusal, "it died (exit code 1), starting it again in 0.01 s"] * 2


@pytest.mark.parametrize(("code", "said"), [(3, "exit code 3"), (-9, "SIGKILL"), (-36, "signal 36")])
def test_how_a_process_ended(code: int, said: str) -> None:
    assert subprocesses.describe_exit(code) == said


SUPERVISOR = """
import asyncio, sys
from proxy_policies.workers.subprocesses import ChildProcesses, Program

async def main():
    sleep = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    kept = ChildProcesses(print)
    await asyncio.gather(*(kept.keep(Program(name, (sys.executable, "-c", sleep))) for name in "ab"))

asyncio.run(main())
"""


def test_they_end_with_their_supervisor_however_it_dies() -> None:
    addons = Path(subprocesses.__file__).parents[1]
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR], stdout=subprocess.PIPE, cwd=addons)
    assert supervisor.stdout
    pids = [int(supervisor.stdout.readline()) for _ in range(2)]
    supervisor.kill()
    supervisor.wait(100)
    wait_until(lambda: not any(map(is_running, pids)), 20, "the end of both")
    supervisor.stdout.close()


GONE = "from proxy_policies.workers import subprocesses; print(subprocesses.is_terminal_gone())"


@pytest.mark.parametrize("gone", [False, True])
def test_a_terminal_that_is_closed(gone: bool) -> None:
    ours, theirs = pty.openpty()
    if gone:
        os.close(ours)
    addons = Path(subprocesses.__file__).parents[1]
    said = subprocess.run([sys.executable, "-c", GONE], stdin=theirs, capture_output=True, cwd=addons, check=True)
    assert said.stdout == f"{gone}\n".encode()
    os.close(theirs)
    if not gone:
        os.close(ours)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


TALKING = """
import asyncio, sys
from proxy_policies.workers.subprocesses import ChildProcesses, Program

async def main():
    talk = "import time\\nwhile True: print('a word', flush=True); time.sleep(0.01)"
    kept = ChildProcesses(print)
    keeping = asyncio.ensure_future(kept.keep(Program("it", (sys.executable, "-c", talk))))
    await kept.stopping.wait()
    await kept.end()
    await keeping

asyncio.run(main())
"""


def test_it_ends_when_its_output_is_closed() -> None:
    command = (sys.executable, "-c", TALKING)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as supervisor:
        assert supervisor.stdout
        assert supervisor.stderr
        assert supervisor.stdout.readline() == b"a word\n"
        supervisor.stdout.close()
        assert supervisor.stderr.read() == b""
        assert supervisor.wait(100) == 0


LOSING = """
import asyncio, os, sys
from proxy_policies.workers.subprocesses import ChildProcesses, Program

async def main():
    kept = ChildProcesses(lambda line: None)
    talk = "import sys\\nfor _ in range(20000): print('a word')\\nsys.exit(3)"
    code = await kept.keep(Program("it", (sys.executable, "-c", talk)))
    os.write(2, str(code).encode())
    os._exit(0)

asyncio.run(main())
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_it_goes_on_when_what_it_prints_has_no_room() -> None:
    with open("/dev/full", "wb") as full:
        ran = subprocess.run((sys.executable, "-c", LOSING), stdout=full, stderr=subprocess.PIPE, timeout=100)
    assert (ran.returncode, ran.stderr) == (0, b"3")
