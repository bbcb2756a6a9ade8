"""Reading captures of every kind: ours, foreign HARs, and mitmproxy's flow files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har.reader import Capture, open_capture
from proxy_policies.capture.har.writer import new_log
from proxy_policies.capture.model import Entry


def is_flow_file(path: Path) -> bool:
    """Return whether it is a flow file: a netstring, which begins with a length and a colon."""
    with path.open("rb") as file:
        length, colon, _ = file.read(16).partition(b":")
    return bool(colon) and length.isdigit()


def open_any(path: Path) -> tuple[dict[str, Any], Iterator[Entry]]:
    """Return the log object and the entries of a capture of any kind. Raises CaptureError and OSError."""
    if is_flow_file(path):
        from proxy_policies.capture.mitmproxy_flows import (
            read_flow_file,  # mitmproxy is slow to import: only when needed
        )

        return new_log(), read_flow_file(path)
    capture: Capture = open_capture(path)
    return _with_format(capture.log), iter(capture)


def _with_format(log: dict[str, Any]) -> dict[str, Any]:
    """Return a log object that says which fields of ours the entries have."""
    return {**log, "_capture": log.get("_capture") or new_log()["_capture"]}


def same_key(logs: list[dict[str, Any]]) -> str:
    """Return the key of captures that are to become one. Raises CaptureError when there are two."""
    keys = {str(log["_capture"].get("key", "")) for log in logs} - {""}
    if len(keys) > 1:
        raise CaptureError("the captures were redacted with different keys: the same secret has different placeholders")
    return next(iter(keys), "")
