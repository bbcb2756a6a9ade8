"""Records which functions of the package are called, in all threads; as a script for mitmdump, between two signals."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from types import FrameType

import proxy_policies

PACKAGE = f"{Path(proxy_policies.__file__).parent}/"
BEGIN, END = signal.SIGUSR1, signal.SIGUSR2
RESULT = "walk.json"
"""The file, in mitmdump's working directory, that is written after each signal."""

Walk = dict[tuple[str, str], None]
"""Files with their functions, in the order in which they were first entered."""


class Recorder:
    """Records calls, except those that modules make while they are imported."""

    def __init__(self) -> None:
        self.walk: Walk = {}
        self._imports = 0

    def start(self) -> None:
        """Begin, with nothing recorded."""
        self.walk, self._imports = {}, 0
        threading.setprofile_all_threads(self._on_event)

    def stop(self) -> None:
        """Record no more."""
        threading.setprofile_all_threads(None)

    def _on_event(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if code.co_name == "<module>":
            self._imports += {"call": 1, "return": -1}.get(event, 0)
        elif event == "call" and self._imports <= 0 and code.co_filename.startswith(PACKAGE):
            self.walk.setdefault((code.co_filename.removeprefix(PACKAGE), code.co_qualname))


def running() -> None:
    """Set the handlers of both signals: mitmproxy's hook."""
    recorder = Recorder()

    def write(walk: Walk) -> None:
        Path(f"{RESULT}.new").write_text(json.dumps(list(walk)))
        Path(f"{RESULT}.new").rename(RESULT)

    def begin(*_: object) -> None:
        write({})
        recorder.start()

    def end(*_: object) -> None:
        recorder.stop()
        write(recorder.walk)

    signal.signal(BEGIN, begin)
    signal.signal(END, end)
