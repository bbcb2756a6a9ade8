"""The proxy of a test session: one mitmdump, whose options are changed for each test by files in a folder."""

import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.files import private_files
from proxy_policies.capture.har.reader import count_entries, open_capture
from proxy_policies.capture.runner import client_environment
from proxy_policies.capture.runner.capture_claims import CaptureClaims
from proxy_policies.capture.runner.proxy_process import ProxyProcess
from proxy_policies.options.files import expand_home

CONFDIR = "~/.mitmproxy"
CAPTURES = "captures"
"""The default folder of captures, beside the tests."""
RESPONSE_TIMEOUT = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """A test's options for its capture. `record_mode` is auto, replay, new or record; `mode` is as replay_mode."""

    path: str = ""
    record_mode: str = "auto"
    mode: str = "once"
    ignore: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    exact: bool = False
    record_on_exception: bool = False


class SessionProxy:
    """A proxy whose options are changed while it runs, by request files in a folder (see control_addon.py)."""

    def __init__(self, folder: Path, claims: CaptureClaims) -> None:
        self._folder = folder
        self._requests = 0
        confdir = expand_home(os.environ.get("HTTP_CAPTURE_CONFDIR", CONFDIR))
        settings = ("inspect_hosts=*", "cache=off", f"capture_control={folder}")
        self._process = ProxyProcess(confdir, settings)
        self.bundle = folder / "ca-bundle.pem"
        self.claims = claims
        self._path: Path | None = None
        self._used_by = ""
        self._backup = folder / "before.har"
        self._count = 0
        self.stopped = ""
        """Why the latest recording stopped before its end; empty if it did not."""
        self.failures: list[str] = []
        """URLs and errors of requests that failed during the latest recording."""

    def __enter__(self) -> Self:
        self._process.__enter__()
        client_environment.write_bundle(self.bundle, self._process.ca, os.environ)
        self.end_test()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.__exit__(kind, error, at)

    @property
    def url(self) -> str:
        """The proxy's URL."""
        return self._process.url

    @property
    def ca(self) -> Path:
        """The CA certificate."""
        return self._process.ca

    def begin_test(self, path: Path, mode: str, test: str, options: CaptureOptions) -> Path:
        """Record into this capture, or replay it, for a test; return the path of the report. Raise CaptureError."""
        if self._used_by:
            raise CaptureError(f"the capture of {self._used_by} is not over: use one of the fixtures in a test")
        report = self._folder / f"report-{self._requests}.json"
        private_files.make_folder(path.parent, is_ours=path.parent.name == CAPTURES)
        recording, replaying = mode in ("record", "new"), mode != "record"
        self.claims.claim(path, test, is_named=bool(options.path))
        if recording:
            self._back_up(path, anew=mode == "record" and not self.claims.was_recorded(path))
        self._request({
            "replay_file": str(path.absolute()) if replaying else "",
            "capture_file": str(path.absolute()) if recording else "",
            "replay_mode": mode if replaying else "once",
            "replay_ignore": list(options.ignore),
            "replay_exact": options.exact,
            "capture_redact": list(options.redact),
            "replay_report": str(report),
        }, options.set)  # fmt: skip
        self._used_by = test
        return report

    def _back_up(self, path: Path, anew: bool) -> None:
        """Copy the capture, to be restored if the test fails; `anew`: record into an empty one."""
        self._backup = self._folder / "before.har"
        self._backup.unlink(missing_ok=True)
        self._path = path
        if path.exists():
            shutil.copy2(path, self._backup)
        if anew:
            path.unlink(missing_ok=True)
        self._count = count_entries(path)

    def end_test(self, keep: bool = True) -> int:
        """Close the capture, and return the number of exchanges recorded. Until the next test, all requests fail.

        If nothing was recorded, recording stopped, or it should not be kept, the capture is restored.
        """
        self._used_by = ""
        self.failures = []
        empty = self._folder / "nothing.har"
        if not empty.exists():
            empty.write_text('{"log": {"version": "1.2", "entries": []}}')
        self._request({
            "replay_file": str(empty), "capture_file": "", "replay_mode": "once", "replay_report": "",
        })  # fmt: skip
        path, self._path = self._path, None
        if path is None:
            return 0
        recorded = max(0, count_entries(path) - self._count)
        keep = keep and not self.stopped
        self.failures = _failures(path, self._count) if recorded and not keep else []
        if keep and recorded:
            self.claims.mark_recorded(path)
        elif self._backup.exists():
            shutil.move(self._backup, path)
        else:
            path.unlink(missing_ok=True)
        return recorded

    def _request(self, options: Mapping[str, Any], specs: Iterable[str] = ()) -> None:
        """Have the proxy set these options, and `name=value` specs until the next request, and wait until it has.

        Raise CaptureError if an option is invalid, or the proxy does not respond.
        """
        self._requests += 1
        response = self._folder / f"done-{self._requests}"
        part = self._folder / f".request-{self._requests}"
        part.write_text(json.dumps({"options": options, "set": list(specs)}))
        part.replace(self._folder / f"request-{self._requests}")
        deadline = time.monotonic() + RESPONSE_TIMEOUT
        while not response.exists():
            if time.monotonic() > deadline:
                raise CaptureError("the proxy of the test session does not answer")
            time.sleep(0.005)
        stopped = self._folder / f"stopped-{self._requests}"
        self.stopped = stopped.read_text() if stopped.exists() else ""
        error = response.read_text()
        if error:
            raise CaptureError(error)


def _failures(path: Path, start: int) -> list[str]:
    """Return the URLs and errors of the failed entries from this number on."""
    entries = islice(open_capture(path), start, None)
    return [f"{entry.request.url}: {entry.error}" for entry in entries if entry.error]
