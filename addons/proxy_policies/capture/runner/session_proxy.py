"""The proxy of a test session: one mitmdump, which takes the options for each test from files in a folder."""

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.runner import client_environment
from proxy_policies.capture.runner.proxy_process import ProxyProcess

CONFDIR = "~/.mitmproxy"
ANSWER_SECONDS = 20.0


class SessionProxy:
    """A proxy whose options are changed while it runs, by the requests it finds in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._requests = 0
        confdir = Path(os.environ.get("HTTP_CAPTURE_CONFDIR", CONFDIR)).expanduser()
        settings = ("inspect_hosts=*", "cache=off", f"capture_control={folder}")
        self._process = ProxyProcess(confdir, settings)
        self.bundle = folder / "ca-bundle.pem"

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

    def begin(self, path: Path, mode: str, wanted: Mapping[str, Any]) -> Path:
        """Record into this capture, or replay it; returns where the report will be. Raises CaptureError."""
        report = self._folder / f"report-{self._requests}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        recording, replaying = mode in ("record", "new"), mode != "record"
        if mode == "record":
            path.unlink(missing_ok=True)
        self._request({
            "replay_file": str(path.absolute()) if replaying else "",
            "capture_file": str(path.absolute()) if recording else "",
            "replay_mode": mode if replaying else "once",
            "replay_ignore": list(wanted.get("ignore", ())),
            "capture_redact": list(wanted.get("redact", ())),
            "replay_report": str(report),
        }, wanted.get("set", ()))  # fmt: skip
        return report

    def end(self) -> None:
        """Close the capture: nothing is recorded and nothing leaves until the next test."""
        empty = self._folder / "nothing.har"
        if not empty.exists():
            empty.write_text('{"log": {"version": "1.2", "entries": []}}')
        self._request({
            "replay_file": str(empty), "capture_file": "", "replay_mode": "once", "replay_report": "",
        })  # fmt: skip

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
