"""A supervisor's processes, as real ones."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from proxy_policies import children

pytestmark = pytest.mark.timeout(30)


async def start(code: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)


async def test_what_it_says_comes_line_by_line_and_no_line_is_too_long() -> None:
    process = await start("print('one'); print('x' * 200_000); print('two', end='')")
    said = [line async for line in children.lines(process)]
    assert (said[0], said[-1]) == (b"one\n", b"two")
    assert b"(a line too long to print)\n" in said
    assert await process.wait() == 0


async def test_it_ends_when_it_is_asked_to() -> None:
    process = await start("import signal; print('here', flush=True); signal.pause()")
    assert await anext(children.lines(process)) == b"here\n"
    await children.end(process)
    assert process.returncode == -signal.SIGTERM
    await children.end(process)  # gone already


async def test_who_will_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "PATIENCE", 0.1)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True)"
    process = await start(f"{deaf}\nwhile True: signal.pause()")
    assert await anext(children.lines(process)) == b"here\n"
    await children.end(process)
    assert await process.wait() == -signal.SIGKILL
