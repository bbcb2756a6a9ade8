"""HAR files that are packed open as they are."""

import gzip
import io
import json
import zipfile
import zlib
from pathlib import Path

import pytest

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har import packed
from proxy_policies.capture.har.reader import open_capture


def har(**content: object) -> bytes:
    request = {"method": "GET", "url": "http://a.test/", "headers": []}
    response = {"status": 200, "headers": [], "content": content}
    entry = {"startedDateTime": "2026-11-28T10:00:00Z", "time": 1, "request": request, "response": response}
    return json.dumps({"log": {"entries": [entry]}}).encode()


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "."), data)
    return out.getvalue()


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "a.har"
    path.write_bytes(data)
    return path


READ = {
    "plain": har(text="hello"),
    "gzip": gzip.compress(har(text="hello")),
    "two members": gzip.compress(har(text="hello")[:50]) + gzip.compress(har(text="hello")[50:]),
    "zhar": zlib.compress(har(text="hello")),
    "zip": zipped(har__har=har(text="hello")),
    "attached": zipped(har__har=har(_file="0a1b.txt", text=""), **{"0a1b__txt": b"hello"}),
}


@pytest.mark.parametrize("data", READ.values(), ids=READ)
def test_it_is_read(data: bytes, tmp_path: Path) -> None:
    (entry,) = open_capture(write(tmp_path, data))
    assert entry.response.body.content == b"hello"


REFUSED = {
    "cut gzip": (gzip.compress(har())[:-4], "cut off"),
    "damaged gzip": (b"\x1f\x8bnothing at all", "damaged gzip"),
    "no HAR": (zipped(a__txt=b""), "0 .har files"),
    "two HARs": (zipped(a__har=b"", b__har=b""), "2 .har files"),
    "cut zip": (zipped(a__har=har())[:60], "not a whole zip archive"),
}


@pytest.mark.parametrize(("data", "why"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_in_one_line(data: bytes, why: str, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=why):
        open_capture(write(tmp_path, data))


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped(a__har=data)], ids=["gzip", "zip"])
def test_what_unpacks_to_too_much_is_refused(pack: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "LARGEST", 1 << 20)
    assert callable(pack)
    with pytest.raises(CaptureError, match="unpacks to more than 1 MiB"):
        open_capture(write(tmp_path, pack(b" " * (2 << 20))))
