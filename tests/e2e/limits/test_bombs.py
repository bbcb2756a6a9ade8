"""Little that becomes much when it is unpacked: the proxy's memory does not follow, and other clients are served."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import wait_until

MIB = 1 << 20
SIZE = 400 * MIB
ROOM = 150 * MIB
"""How much the process may grow: far less than one bomb, more than the proxy takes at work."""


def zstd(size: int) -> bytes:
    compressor = zstandard.ZstdCompressor().compressobj()
    return b"".join([*(compressor.compress(bytes(MIB)) for _ in range(size // MIB)), compressor.flush()])


def br(size: int) -> bytes:
    compressor = brotli.Compressor(quality=1)
    return b"".join([*(compressor.process(bytes(MIB)) for _ in range(size // MIB)), compressor.finish()])


BOMBS = {
    "gzip": gzip.compress(bytes(MIB)) * (SIZE // MIB),
    "br": br(SIZE),
    "zstd": zstd(SIZE),
}


def peak(proxy: Mitmdump) -> int:
    """Return the most memory the process ever had, bytes (Linux)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{proxy.pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


@pytest.fixture
def bombing(origin: Callable[..., Origin]) -> Origin:
    server = origin()
    for coding, packed in BOMBS.items():
        fields = [("Content-Type", "text/html"), ("Content-Encoding", coding)]
        server.route(f"/{coding}", Answer(headers=fields, body=packed))
    return server


def test_recorded(mitmdump: Callable[..., Mitmdump], bombing: Origin, curl: Any, tmp_path: Path) -> None:
    capture = tmp_path / "made.har"
    proxy = mitmdump("--set", f"capture_file={capture}")
    assert curl("-x", proxy.url, f"{bombing.url}/").status == 200
    before = peak(proxy)
    for coding, packed in BOMBS.items():
        assert curl("-x", proxy.url, f"{bombing.url}/{coding}").body == packed
    wait_until(lambda: capture.read_text().count('"startedDateTime"') == 1 + len(BOMBS), 60, "the last entry")
    assert peak(proxy) - before < ROOM
    assert proxy.stop() == 0
    entries = json.loads(capture.read_text())["log"]["entries"]
    assert [entry["response"]["content"].get("_lost") for entry in entries] == [None, *map(len, BOMBS.values())]


def test_printed(mitmdump: Callable[..., Mitmdump], bombing: Origin, curl: Any) -> None:
    """With flow_detail=3 mitmdump shows bodies; they are not streamed where a script wants them whole."""
    proxy = mitmdump("--set", "flow_detail=3")
    assert curl("-x", proxy.url, f"{bombing.url}/").status == 200
    before = peak(proxy)
    for coding, packed in BOMBS.items():
        assert curl("-x", proxy.url, f"{bombing.url}/{coding}").body == packed
    assert curl("-x", proxy.url, f"{bombing.url}/").status == 200
    assert peak(proxy) - before < ROOM
