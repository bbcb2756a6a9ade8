"""The proxy of a test session: one mitmdump, which takes the options for each test from files in a folder."""

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

from proxy_policies.capture import private_files
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har.reader import count_entries, open_capture
from proxy_policies.capture.runner import client_environment
from proxy_policies.capture.runner.capture_claims import CaptureClaims
from proxy_policies.capture.runner.proxy_process import ProxyProcess
from proxy_policies.option_files import expand_home

CONFDIR = "~/.mitmproxy"
CAPTURES = "captures"
"""The folder of captures, where no other is named: nothing else is in it."""
ANSWER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a test wants of its capture. `record_mode` is auto, replay, new or record; `mode` is replay_mode's."""

    path: str = ""
    record_mode: str = "auto"
    mode: str = "once"
    ignore: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    exact: bool = False
    record_on_exception: bool = False


class SessionProxy:
    """A proxy whose options are changed while it runs, by the requests it finds in a folder."""

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
        self._before = folder / "before.har"
        self._count = 0
        self.failures: list[str] = []
        """Why requests failed while the latest recording was made."""

    def __enter__(self) -> Self:
        self._process.__enter__()
        client_environment.write_bundle(self.bundle, self._process.ca, os.environ)
        self.end()
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

    def begin(self, path: Path, mode: str, test: str, wanted: Wanted) -> Path:
        """Record into this capture, or replay it, for a test; returns where the report will be. Raises CaptureError."""
        if self._used_by:
            raise CaptureError(f"the capture of {self._used_by} is not over: use one of the fixtures in a test")
        report = self._folder / f"report-{self._requests}.json"
        private_files.make_folder(path.parent, is_ours=path.parent.name == CAPTURES)
        recording, replaying = mode in ("record", "new"), mode != "record"
        self.claims.claim(path, test, is_named=bool(wanted.path))
        if recording:
            self._keep_for_failure(path, anew=mode == "record" and not self.claims.was_recorded(path))
        self._request({
            "replay_file": str(path.absolute()) if replaying else "",
            "capture_file": str(path.absolute()) if recording else "",
            "replay_mode": mode if replaying else "once",
            "replay_ignore": list(wanted.ignore),
            "replay_exact": wanted.exact,
            "capture_redact": list(wanted.redact),
            "replay_report": str(report),
        }, wanted.set)  # fmt: skip
        self._used_by = test
        return report

    def _keep_for_failure(self, path: Path, anew: bool) -> None:
        """Put what was recorded aside, to be put back should the test fail."""
        self._before = self._folder / "before.har"
        self._before.unlink(missing_ok=True)
        self._path = path
        if path.exists():
            shutil.copy2(path, self._before)
        if anew:
            path.unlink(missing_ok=True)
        self._count = count_entries(path)

    def end(self, keep: bool = True) -> int:
        """Close the capture: nothing is recorded and nothing leaves until the next test.

        A recording that holds nothing, or that is not to be kept, is as it was before. Returns how many exchanges
        were recorded.
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
        recorded = count_entries(path) - self._count
        self.failures = _failures(path, self._count) if recorded and not keep else []
        if keep and recorded:
            self.claims.note_recorded(path)
        elif self._before.exists():
            shutil.move(self._before, path)
        else:
            path.unlink(missing_ok=True)
        return recorded

    def _request(self, options: Mapping[str, Any], specs: Iterable[str] = ()) -> None:
        """Have the proxy take these options, and `name=value` specs until the next request; wait until it has.

        Raises CaptureError.
        """
        self._requests += 1
        answer = self._folder / f"done-{self._requests}"
        part = self._folder / f".request-{self._requests}"
        part.write_text(json.dumps({"options": options, "set": list(specs)}))
        part.replace(self._folder / f"request-{self._requests}")
        deadline = time.monotonic() + ANSWER_SECONDS
        while not answer.exists():
            if time.monotonic() > deadline:
                raise CaptureError("the proxy of the test session does not answer")
            time.sleep(0.005)
        problem = answer.read_text()
        if problem:
            raise CaptureError(problem)


def _failures(path: Path, begin: int) -> list[str]:
    """Return why requests failed, of the entries from this number on."""
    entries = islice(open_capture(path), begin, None)
    return [f"{entry.request.url}: {entry.error}" for entry in entries if entry.error]
