"""A mitmdump process with all policies, on a free port of 127.0.0.1."""

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

START_TIMEOUT = 60.0  # seconds
STOP_TIMEOUT = 30.0
READY = "capture proxy ready on port"  # logged by control_addon.py
RECORDING = "proxy_policies.capture.record.addon"
"""The logger of the policy that records."""
STOPPED = re.compile(r"recording into .+ stopped: (.+)")
"""Its line when it cannot write any more."""
_READY = re.compile(rf"{READY} (\d+)")
_ORDINARY = re.compile(r"listening at|^Loading script|^policies: |^HTTPS |logged during startup|stopped\.?$")
"""Log lines of every start and stop."""
_PROGRAM = "from mitmproxy.tools.main import mitmdump; mitmdump()"


def policy_script() -> Path:
    """Return the script with all policies: beside the package in a clone, inside it if installed."""
    package = Path(proxy_policies.__file__).parent
    beside, inside = package.parent / "policy.py", package / "scripts" / "policy.py"
    return beside if beside.exists() else inside


def _die_with_parent() -> None:
    """Have the kernel terminate the proxy if this process is killed (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class ProxyProcess:
    """Starts on entering, and stops on leaving. `settings` are `name=value` for `--set`. Raises CaptureError."""

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
        self._process = subprocess.Popen(  # noqa: S603 - our program, with the user's options
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C goes to the command only; the proxy ends after it
            preexec_fn=_die_with_parent,
        )
        try:
            self.port = self._wait_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def _wait_ready(self) -> int:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            ended = self._process.poll() is not None
            text = self.log()
            if ended:
                raise CaptureError(f"the proxy did not start: {_problem(text)}")
            if found := _READY.search(text):
                return int(found[1])
            time.sleep(0.02)
        raise CaptureError(f"the proxy did not start within {START_TIMEOUT:.0f} s: {_problem(self.log())}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        """Terminate the proxy, and wait until it has written its files."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.text = self.log()
        self._log.close()


def _problem(text: str) -> str:
    """Return the last line of a log that is not of an ordinary start or stop; it is most likely the error."""
    lines = [re.sub(r"^\[[\d:.]+\]\s*", "", line) for line in text.splitlines() if line.strip()]
    unusual = [line for line in lines if not _ORDINARY.search(line)]
    return (unusual or lines or ["its log is empty"])[-1]
