"""A tap and a transform for pipelines of bodies."""

from dataclasses import dataclass, field


@dataclass
class Recorder:
    """A tap that keeps what it receives."""

    seen: bytearray = field(default_factory=bytearray)
    ends: list[str] = field(default_factory=list)
    largest: int = 0
    fails_in: str = ""

    def feed(self, data: bytes) -> None:
        self._fail("feed")
        self.largest = max(self.largest, len(data))
        self.seen += data

    def finish(self) -> None:
        self._fail("finish")
        self.ends.append("finish")

    def abort(self) -> None:
        self.ends.append("abort")
        self._fail("abort")

    def _fail(self, where: str) -> None:
        if where == self.fails_in:
            raise RuntimeError("a tap's own fault")


class Suffix:
    """A transform that appends a suffix, which shows the order of several transforms."""

    def __init__(self, suffix: bytes) -> None:
        self.suffix = suffix

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return self.suffix
