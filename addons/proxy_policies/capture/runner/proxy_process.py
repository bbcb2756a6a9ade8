"""A mitmdump of our own with every policy, on a free port of 127.0.0.1, for as long as it is needed."""

import ctypes
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import proxy_policies
from proxy_policies.capture.errors import CaptureError
from proxy_policies.certificates import folders

START_SECONDS = 60.0
STOP_SECONDS = 30.0
READY = "capture proxy ready on port"  # what our script in it logs
_READY = re.compile(rf"{READY} (\d+)")
_ORDINARY = re.compile(r"listening at|^Loading script|^policies: |^HTTPS |logged during startup|stopped\.?$")
"""Lines of a start that are not about what went wrong."""
_PROGRAM = "from mitmproxy.tools.main import mitmdump; mitmdump()"


def policy_script() -> Path:
    """Return the script with every policy: beside the package in a clone, inside it when installed."""
    package = Path(proxy_policies.__file__).parent
    beside, inside = package.parent / "policy.py", package / "scripts" / "policy.py"
    return beside if beside.exists() else inside


def _die_with_parent() -> None:
    """Have the kernel end the proxy when we are killed (Linux; elsewhere it stays until the port is closed)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class ProxyProcess:
    """Starts on entering, ends on leaving. `settings` are `name=value` for `--set`."""

    def __init__(self, confdir: Path, settings: Sequence[str]) -> None:
        self.confdir = confdir
        self._command = [
            sys.executable,
            "-c",
            _PROGRAM,
            "-s",
            str(policy_script()),
            "-s",
            str(Path(__file__).with_name("control_addon.py")),
        ]
        self._command += ["--listen-host", "127.0.0.1", "--listen-port", "0", "--set", f"confdir={confdir}"]
        for setting in ("flow_detail=0", "termlog_verbosity=info", "grace_period=0", *settings):
            self._command += ["--set", setting]
        self.port = 0

    @property
    def url(self) -> str:
        """The proxy's URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        """The certificate of the CA that clients must trust."""
        return self.confdir / "mitmproxy-ca-cert.pem"

    def log(self) -> str:
        """Return what the proxy has printed so far."""
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")

    def __enter__(self) -> Self:
        try:
            folders.require_confdir(self.confdir, "--confdir FOLDER")
        except ValueError as error:
            raise CaptureError(str(error)) from None
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603 - our own program and the user's own options
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the command; the proxy ends after it
            preexec_fn=_die_with_parent,
        )
        try:
            self.port = self._wait_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def _wait_ready(self) -> int:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            ended = self._process.poll() is not None
            text = self.log()
            if ended:
                raise CaptureError(f"the proxy did not start: {_problem(text)}")
            if found := _READY.search(text):
                return int(found[1])
            time.sleep(0.02)
        raise CaptureError(f"the proxy did not start within {START_SECONDS:.0f} s: {_problem(self.log())}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        """End the proxy and wait until it has written what it had to write."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.text = self.log()
        self._log.close()


def _problem(text: str) -> str:
    """Return the line of a log that says what is wrong: the last one that is not about an ordinary start or stop."""
    lines = [re.sub(r"^\[[\d:.]+\]\s*", "", line) for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not _ORDINARY.search(line)]
    return (telling or lines or ["its log is empty"])[-1]
