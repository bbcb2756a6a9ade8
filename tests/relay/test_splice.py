"""Pipes, and splice through them."""

from __future__ import annotations

import os

import pytest

from proxy_policies.relay import splice


def test_idle_pipes_are_bounded() -> None:
    if not hasattr(os, "splice"):
        pytest.skip("no splice")
    pipes = splice.Pipes()
    taken = [pipes.acquire() for _ in range(splice.MAX_POOLED + 5)]
    for pipe in taken:
        pipes.release(pipe)
    assert sum(_is_open(pipe.read_fd) for pipe in taken) == splice.MAX_POOLED
    pipes.close()
    assert not any(_is_open(pipe.read_fd) for pipe in taken)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
