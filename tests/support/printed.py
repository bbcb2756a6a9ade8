"""Reads the output of a process."""

import os
import select
import threading
from typing import IO


class Printed:
    """The complete lines received through a pipe; at its end the rest, too.

    Reading `text` empties the pipe: a line that was printed before a response was sent is included once the client has
    the response, even if the thread that empties the pipe is late.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._text, self._rest = "", b""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        """The output so far."""
        with self._lock:
            if not self._pipe.closed:
                self._take()
            return self._text

    def wait_end(self, timeout: float) -> None:
        """Wait for the pipe's end, up to `timeout` seconds: another process may still hold it open."""
        self._thread.join(timeout)

    def _follow(self) -> None:
        coming = select.poll()
        coming.register(self._pipe, select.POLLIN)
        while not self._pipe.closed:
            coming.poll()
            with self._lock:
                if self._take():
                    self._pipe.close()

    def _take(self) -> bool:
        """Take what is in the pipe; return True at its end."""
        ready = select.poll()
        ready.register(self._pipe, select.POLLIN)
        while ready.poll(0):
            data = os.read(self._pipe.fileno(), 1 << 16)
            come = self._rest + data
            whole = come.rfind(b"\n") + 1 if data else len(come)
            self._text += come[:whole].decode("utf-8", "replace")
            self._rest = come[whole:]
            if not data:
                return True
        return False
