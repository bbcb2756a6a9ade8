"""Clones to try scripts in, and scripts/proxy started from one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.clone import Clone
from tests.support.mitmdump import LISTENING, Running


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Return a clone that is set up."""
    made = Clone(tmp_path)
    made.seem_set_up()
    return made


@pytest.fixture
def fresh_clone(tmp_path: Path) -> Clone:
    """Return a clone in which no script has ever run."""
    return Clone(tmp_path)


@pytest.fixture
def proxy_script() -> Iterator[Callable[..., Running]]:
    """Start `scripts/proxy` of a clone; ended with the test. Gives it as soon as it listens."""
    started: list[Running] = []

    def start(clone: Clone, *arguments: str, timeout: float = 20) -> Running:
        command = [str(clone.root / "scripts/proxy"), *arguments, "--listen-port", "0"]
        running = Running(command, clone.environment(), cwd=clone.home)
        started.append(running)
        running.port = int(running.wait_log(LISTENING, timeout)[1])
        return running

    yield start
    for running in started:
        running.stop()
