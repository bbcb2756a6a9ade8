"""The bundle loads, and traffic passes."""

import select
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import ADDONS, MITMDUMP, Mitmdump, environment
from tests.support.origin import Origin


def test_the_bundle_loads_and_forwards(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any
) -> None:
    server, proxy = origin(), mitmdump()
    result = curl("-x", proxy.url, f"{server.url}/")
    assert (result.status, result.body) == (200, b"hello from the origin\n")
    assert proxy.stop() == 0
    assert "rror" not in proxy.log()


@pytest.mark.parametrize("script", ["policy.py", "headers.py"])
def test_its_output_is_not_buffered(script: str, tmp_path: Path) -> None:
    """A supervisor, a journal, `capture record`: Python keeps what goes into a pipe, until that is 8 KiB."""
    options = ("--set", f"confdir={tmp_path}", "--listen-host", "127.0.0.1", "--listen-port", "0")
    command = [MITMDUMP, *options, "-s", str(ADDONS / script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), bufsize=0) as process:
        assert process.stdout
        said = b""
        try:
            while b"listening at" not in said:
                assert select.select([process.stdout], [], [], 100)[0], said
                piece = process.stdout.read(65536)
                assert piece, said
                said += piece
        finally:
            process.terminate()
