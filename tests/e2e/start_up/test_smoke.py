"""The bundle loads, and traffic passes."""

import select
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import ADDONS, MITMDUMP, Mitmdump, environment
from tests.support.origin import Origin
from tests.support.waiting import free_port, wait_until


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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_log_on_a_full_disk_ends_nothing(origin: Callable[..., Origin], curl: Any, tmp_path: Path) -> None:
    port, server = free_port(), origin()
    options = ("--set", f"confdir={tmp_path}", "--listen-host", "127.0.0.1", "--listen-port", str(port))
    command = [MITMDUMP, *options, "-s", str(ADDONS / "policy.py")]
    with (
        Path("/dev/full").open("w") as full,
        subprocess.Popen(command, stdout=full, stderr=full, env=environment()) as process,
    ):

        def is_answered() -> bool:
            assert process.poll() is None
            return bool(curl("-x", f"http://127.0.0.1:{port}", f"{server.url}/").status == 200)

        try:
            for _ in range(3):
                wait_until(is_answered, 20)
        finally:
            process.terminate()
