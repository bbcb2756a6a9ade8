"""What came of a run, by number, in a file of its own: memory does not grow with the recording."""

import pickle
import tempfile
from collections.abc import Iterator, Mapping

from proxy_policies.capture.check.sender import SendResult


class ReplyFile(Mapping[int, SendResult]):
    """Replies by their entry's number. The file has no name, and is gone with this object; replies hold no secrets."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- as long as we live
        self._spans: dict[int, tuple[int, int]] = {}
        self._end = 0

    def put(self, number: int, sent: SendResult) -> None:
        """Keep a reply. Raises OSError."""
        data = pickle.dumps(sent)
        self._file.seek(self._end)
        self._file.write(data)
        self._spans[number] = (self._end, len(data))
        self._end += len(data)

    def __getitem__(self, number: int) -> SendResult:
        """Return a reply. Raises KeyError, OSError."""
        start, size = self._spans[number]
        self._file.seek(start)
        sent: SendResult = pickle.loads(self._file.read(size))  # noqa: S301 -- nobody else can have written it
        return sent

    def __iter__(self) -> Iterator[int]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)

    def __del__(self) -> None:
        self._file.close()
